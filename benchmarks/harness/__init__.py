"""Harnesses side by side on a server whose schedule is known."""
