"""Find what a name was meant to be."""

from __future__ import annotations

from collections.abc import Iterable

CLOSE_ENOUGH = 60.0  # of 100


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The most similar known name, or None when none is similar."""
    from rapidfuzz import fuzz, process, utils

    found = process.extractOne(
        name, list(known), scorer=fuzz.WRatio, processor=utils.default_process, score_cutoff=CLOSE_ENOUGH
    )
    return str(found[0]) if found else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """``, did you mean `X`?`` or nothing."""
    found = nearest(name, known)
    return f", did you mean `{found}`?" if found else ""
