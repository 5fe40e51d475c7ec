"""Second thoughts without a name: "50 trials for tuning it, hmm, rather 20"."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from servelab.request.reading.heard import Heard, Mention
from servelab.request.reading.known import Known, rx
from servelab.request.reading.quantity import NUMBER, OH_NO, REAL, read_number

_INSTEAD = rx(
    rf"\b(?:{OH_NO}[,.:;! ]{{1,3}}){{1,3}}(?:(?:better|with|only|just|use|it is|to) ){{0,2}}"
    rf"(?P<now>{NUMBER})(?: (?:instead|then|please))?(?= ?(?:$|[,.;!\n]))"
)


def read_corrections(heard: Heard, known: Known) -> None:
    """A lone number behind "no, rather" replaces the number that was said last before it."""
    for match in heard.sentence.find(_INSTEAD):
        before = [one for one in heard.mentions if one.end <= match.start() and _as(one.value, 1.0) is not None]
        now = read_number(match["now"], REAL)
        if not before or not now:
            continue
        old = max(before, key=lambda one: one.end)
        value = _as(old.value, now)
        if value is not None:
            heard.mentions[heard.mentions.index(old)] = replace(old, value=value)
            heard.warn(f"{heard.sentence.original(*match.span())!r} is read as {_told(old)} {now:g}")
            heard.sentence.take(*match.span())


def _as(old: Any, now: float) -> Any:
    """The new number in the old one's form; None where the old value is no single number."""
    if isinstance(old, tuple):
        inner = _as(old[0], now) if len(old) == 1 else None
        return None if inner is None else (inner,)
    if isinstance(old, bool) or not isinstance(old, int | float):
        return None
    if isinstance(old, int):
        return int(now) if now == int(now) else None
    return now


def _told(mention: Mention) -> str:
    return mention.name.rpartition(".")[2].lstrip("-").replace("_", " ")
