"""The load generator that ships with servelab."""
