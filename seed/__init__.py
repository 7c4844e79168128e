"""What a fresh install starts with: sample customers, what they run, and a model that needs no account."""
