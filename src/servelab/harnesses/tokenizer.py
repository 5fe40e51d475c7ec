"""Where a model's tokenizer is, for harnesses that make prompts with it; nothing is looked up on the network."""

from __future__ import annotations

import os
from pathlib import Path

from servelab.spec.errors import MeasureError
from servelab.spec.model import Model


def tokenizer_of(model: Model) -> str:
    """Its name: a directory of weights holds its own, a file of weights (GGUF) none that others read."""
    if model.tokenizer is not None:
        return model.tokenizer
    return model.path if model.path is not None and Path(model.path).is_dir() else model.id


def local_tokenizer(named: str | None, harness: str) -> str:
    """The directory of a tokenizer, or the Hugging Face id of one that is in the local cache.

    Raises:
        MeasureError: it is not on this machine.
    """
    if named is None:
        raise MeasureError(
            f"{harness} needs a tokenizer to make prompts", "Name a directory in model.tokenizer of the study."
        )
    if Path(named).is_dir():
        return str(Path(named).resolve())
    if not any((hub_cache() / f"models--{named.replace('/', '--')}").glob("snapshots/*/tokenizer*")):
        raise MeasureError(
            f"{harness} makes prompts with the model's tokenizer, and {named} is neither a directory nor in the "
            f"local Hugging Face cache ({hub_cache()})",
            f"Name a directory in model.tokenizer of the study, or get it: hf download {named} --include 'tokenizer*'",
        )
    return named


def hub_cache() -> Path:
    """Where Hugging Face's libraries keep what they downloaded, by the variables that they heed."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or caches / "huggingface") / "hub"
