"""servelab finds out how to serve a model, by experiments on a real inference engine."""

__version__ = "0.1.0"
