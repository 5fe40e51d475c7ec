"""Readers of plain words, each for one kind of thing; see servelab.request.understand."""
