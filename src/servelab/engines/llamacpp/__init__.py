"""llama.cpp as an engine."""

from servelab.engines.llamacpp.engine import LlamaCpp

__all__ = ["LlamaCpp"]
