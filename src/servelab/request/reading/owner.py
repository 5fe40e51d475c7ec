"""Whose a number is that stands between a name and another number with a unit: "answer length 90, 24 users"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import rx
from servelab.request.reading.lengths import LENGTH
from servelab.request.reading.limits import LIMITS, Limit
from servelab.request.reading.quantity import IS, JOIN, NUMBER

_BEFORE = 60  # characters in which a name is looked for


def _owner(limits: Sequence[Limit]) -> re.Pattern[str]:
    return rx(
        rf"(?<![\w.])(?:(?:{'|'.join(limit.before for limit in limits)}|{LENGTH}){IS}|"
        r"(?:prompt|input|output|completion|answer|prefix|stdev|min|max)(?:[-_ ][a-z]{1,9}){0,2} ?[=:] ?)$"
    )


OWNER = _owner(LIMITS)
OF_OTHERS = _owner(LIMITS[1:])
"""But tensor parallelism, whose values are numbers of accelerators."""

_SEVERAL = rx(rf"{NUMBER}{JOIN}(?={NUMBER})")


def own(
    heard: Heard, pattern: re.Pattern[str], match: re.Match[str], owner: re.Pattern[str] = OWNER
) -> re.Match[str] | None:
    """The match of a list before its unit without a first number that belongs to a name; None if none is left."""
    sentence, start = heard.sentence, match.start("levels")
    several = _SEVERAL.match(match["levels"])
    if several and owner.search(sentence.free, max(0, start - _BEFORE), start):
        return pattern.search(sentence.free, start + several.end())
    return match
