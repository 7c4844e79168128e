"""Small programs to copy from; each docstring says how to run it."""
