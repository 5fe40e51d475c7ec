"""Platforms: where an engine runs."""
