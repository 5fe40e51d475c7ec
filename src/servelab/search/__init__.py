"""Search: which configuration to try next."""
