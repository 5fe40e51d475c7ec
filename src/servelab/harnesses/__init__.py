"""Harnesses: load on an endpoint, and what it measured."""
