"""The terminal: thin commands, live progress, no logic."""
