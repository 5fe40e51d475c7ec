"""Inference engines: from parameters to a command, and from a log to a diagnosis."""
