"""The words that readers know, to see what a misspelt one was meant to be."""

from __future__ import annotations

import re
from functools import cache

from servelab.catalog.catalog import Catalog
from servelab.request.reading.known import STOP, word_list
from servelab.request.reading.leftover import SAYS_NOTHING
from servelab.request.reading.sentence import Text

SHORTEST = 5  # letters of a word that may be put right
LONG = 9  # letters from which two slips are allowed

_OWN = word_list("vocabulary")
_REAL = word_list("real")
"""English words that are a slip away from a word of the vocabulary, and no slip."""

_WORD = re.compile(
    r"(?<![\w./:@$=-])(?!--)[A-Za-z]+(?:[-_][A-Za-z]+)*(?![A-Za-z])(?![\w/:@.]*[/@])(?![.:]\w)", re.ASCII
)
_PIECE = re.compile(r"[A-Za-z]+")


@cache
def vocabulary(catalog: Catalog, engine: str) -> frozenset[str]:
    """Words of fields, of workloads and of the engine's arguments."""
    said = [*_OWN, *catalog.presets]
    for preset in catalog.presets.values():
        said += [*preset.keywords, *preset.weak]
    for name, argument in catalog.arguments(engine).items():
        said += [*argument.called, *argument.spoken, name]
    return frozenset(piece.lower() for phrase in said for piece in _PIECE.findall(phrase) if len(piece) >= SHORTEST)


@cache
def says_more(catalog: Catalog, engine: str, word: str) -> bool:
    """Whether a word is one that readers make something of."""
    from servelab.request.reading.models import index_of, parts_of

    parts = parts_of(word)
    return word in vocabulary(catalog, engine) or bool(parts and parts[0] in index_of(catalog).families)


class Spelling:
    """Puts misspelt words right and remembers which."""

    def __init__(self, catalog: Catalog, engine: str) -> None:
        self._known = vocabulary(catalog, engine)
        self.notes: list[str] = []

    def __call__(self, text: Text) -> Text:
        """The text with words put right that are a slip of the keyboard away from exactly one known word."""
        return text.rewritten(_WORD, self._compound)

    def _compound(self, match: re.Match[str]) -> str | None:
        right = _PIECE.sub(lambda piece: self._right(piece[0]), match[0])
        return right if right != match[0] else None

    def _right(self, word: str) -> str:
        low = word.lower()
        if (
            len(low) < SHORTEST - 1
            or low in self._known
            or low in SAYS_NOTHING
            or low in STOP
            or low in _REAL
            or _inflected(low, self._known)
        ):
            return word
        meant = nearest_word(low, self._known)
        if meant is None:
            return word
        self.notes.append(f"{word} is read as {meant}")
        return meant


def nearest_word(word: str, known: frozenset[str]) -> str | None:
    """The one known word with the same first letter within one slip of the keyboard, or two where it is long."""
    from rapidfuzz.distance import OSA

    slips = 2 if len(word) >= LONG else 1
    near = {
        other: count
        for other in known
        if other[0] == word[0] and (count := OSA.distance(word, other, score_cutoff=slips)) <= slips
    }
    best = [other for other, count in near.items() if count == min(near.values())]
    if len({_stem(other) for other in best}) != 1:
        return None
    return min(best, key=lambda other: (other[-1] != word[-1], other))


def _stem(word: str) -> str:
    """What two spellings or numbers of one word share."""
    return word.removesuffix("s").replace("ise", "ize").replace("ising", "izing")


def _inflected(word: str, known: frozenset[str]) -> bool:
    """Whether it is a known word with another ending, which is no slip."""
    stems = {word + ending for ending in ("s", "d", "ed", "ing", "e")}
    stems |= {word.removesuffix(ending) for ending in ("s", "es", "d", "ed", "ing", "r", "er", "ly", "al")}
    return bool((stems - {word}) & known)
