"""The study that a newcomer runs first."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from servelab.catalog.study import load_study
from servelab.spec.study import Study


@cache
def quickstart_study() -> Study:
    """llama.cpp on this machine, a small chat model, a handful of settings."""
    text = (files("servelab.lab") / "quickstart.yaml").read_text(encoding="utf-8")
    return load_study(text, "quickstart.yaml")
