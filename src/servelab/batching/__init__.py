"""Continuous batching as an inference engine does it, without time and without I/O."""
