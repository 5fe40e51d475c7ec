"""What readers may look up: the catalog, what was said before, and the engine that is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from servelab.catalog.catalog import Catalog
from servelab.catalog.engines import Argument
from servelab.request.said import Request


def word_list(name: str) -> frozenset[str]:
    """The words of ``words/NAME.txt``; lines that begin with # say what they are."""
    text = (files("servelab.request.reading") / "words" / f"{name}.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


STOP = word_list("stop")
"""Words that are never a name."""


@dataclass(frozen=True)
class Known:
    """What a sentence is read against."""

    catalog: Catalog
    before: Request
    engine: str

    @property
    def arguments(self) -> Mapping[str, Argument]:
        """The engine's arguments by name."""
        return self.catalog.arguments(self.engine)


def rx(pattern: str) -> re.Pattern[str]:
    """A pattern for ``Sentence.find``: small letters, and words end where another script begins."""
    return re.compile(pattern, re.ASCII)


def one_of(words: Iterable[str]) -> str:
    """An alternation of phrases, the longest first, whose spaces may be hyphens or underscores."""
    phrases = sorted({word.lower() for word in words}, key=len, reverse=True)
    said = "|".join(re.escape(phrase).replace(r"\ ", "[-_ ]").replace(r"\-", "[-_ ]") for phrase in phrases)
    return f"(?:{said})" if said else "(?!)"
