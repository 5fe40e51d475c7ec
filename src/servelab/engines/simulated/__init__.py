"""A simulated engine: vLLM's flags, API, metrics and failures over a model of continuous batching.

It measures nothing real, and says so in its version, headers, log and every report.
"""
