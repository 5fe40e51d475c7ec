"""What readers may look up: the catalog, what was said before, and the engine that is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from servelab.catalog.catalog import Catalog
from servelab.catalog.engines import Argument
from servelab.request.said import Request

STOP = frozenset(
    "a an the and or with without for in on at of to from by as is are be it its this that these those my our your "
    "please use using run add also plus then but so only just keep set want need should would could will can do does "
    "not no if when while which what who where how than into onto over under via per each all any some same new "
    "default current right please thanks called named i we you me us let there here".split()
)
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
