"""Find what a name was meant to be."""

from __future__ import annotations

from collections.abc import Iterable

SIMILAR = 70.0  # of 100: worth a suggestion


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The most similar known name, or None when none is similar: also finds a part of a name, or swapped words."""
    from rapidfuzz import fuzz, process, utils

    found = process.extractOne(
        name, list(known), scorer=fuzz.WRatio, processor=utils.default_process, score_cutoff=SIMILAR
    )
    return str(found[0]) if found else None


def mistyped(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` is a slip of the keyboard for, or None.

    Counts letters only. Shared words say nothing here: engines have many arguments that begin alike, and one that the
    catalog lacks is no mistake.
    """
    from rapidfuzz.distance import OSA

    slips = [(OSA.distance(name, other), other) for other in known]
    count, other = min(slips, default=(len(name), ""))
    return other if count <= min(2, len(name) // 4) else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """``, did you mean `X`?`` or nothing."""
    names = list(known)
    found = mistyped(name, names) or nearest(name, names)
    return f", did you mean `{found}`?" if found else ""
