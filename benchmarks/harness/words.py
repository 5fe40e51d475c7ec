"""A tokenizer for which a word is a token, as for the servers here, in a directory that the field's harnesses read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

UNKNOWN = "other"
NUMBERS = 5000  # as words, for harnesses that draw tokens from the vocabulary

SOURCES = {
    "guidellm": "faker/providers/lorem/en_US/__init__.py",
    "aiperf": "aiperf/dataset/generator/assets/shakespeare.txt",
    "genai-bench": "genai_bench/data/sonnet.txt",
}
"""Where harnesses that have words of their own have them, in their environments."""


def write_tokenizer(directory: Path, name: str, program: Path) -> str:
    """Write the tokenizer for the harness ``name`` whose ``program`` this is; the directory, to be named to it."""
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(_words(name, program)))}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(directory)


def _words(name: str, program: Path) -> Iterator[str]:
    yield UNKNOWN
    yield from map(str, range(NUMBERS))
    if name not in SOURCES:
        return
    (source,) = program.parent.parent.glob(f"lib/python*/site-packages/{SOURCES[name]}")
    text = source.read_text(encoding="utf-8")
    if name != "guidellm":
        yield from text.split()
        return
    for word in re.findall(r'"(\w+)"', text):  # which it makes sentences of
        yield from (form + end for form in (word, word.capitalize()) for end in ("", "."))
