"""An OpenAI-compatible HTTP server that answers by rules, from nothing but the messages it is given."""
