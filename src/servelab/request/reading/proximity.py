"""The last resort for numbers: one that nothing was made of belongs to the name nearest to it."""

from __future__ import annotations

import re
from functools import cache

from servelab.catalog.catalog import Catalog
from servelab.catalog.engines import Argument
from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, one_of, rx
from servelab.request.reading.limits import LIMITS, Limit
from servelab.request.reading.quantity import LEVELS, NUMBER, read_levels
from servelab.request.reading.spoken import phrases_of
from servelab.request.reading.values import Unfit, typed
from servelab.spec.base import Value

NEAR = 40  # characters between a name and its number

_CLAUSE = re.compile(r"[.;!?](?= |$)|\n|, (?:and|but|with|then)\b")
_NUMBER = rx(rf"(?<![\w.,-])(?:{NUMBER}%|{LEVELS})(?![\w-])")

Named = Limit | Argument


def read_near(heard: Heard, known: Known) -> None:
    """Pair what is left: in a clause, a free name and the free number nearest to it, and say so."""
    sentence, start = heard.sentence, 0
    for end in (*(match.start() for match in _CLAUSE.finditer(sentence.plain)), len(sentence.plain)):
        numbers = list(_NUMBER.finditer(sentence.free, start, end))
        names = _names_in(sentence.free, start, end, known) if numbers else []
        for name, named in names:
            number = min(numbers, key=lambda number: _gap(name, number))
            nearest = min(names, key=lambda other: _gap(other[0], number))
            if nearest[0] is name and _gap(name, number) <= NEAR:
                _pair(heard, name, named, number)
        start = end


def _gap(name: re.Match[str], number: re.Match[str]) -> int:
    """Characters between the two."""
    return max(number.start() - name.end(), name.start() - number.end())


def _names_in(free: str, start: int, end: int, known: Known) -> list[tuple[re.Match[str], Named]]:
    return [
        (match, named)
        for pattern, named in _patterns(known.catalog, known.engine)
        for match in pattern.finditer(free, start, end)
    ]


def _pair(heard: Heard, name: re.Match[str], named: Named, number: re.Match[str]) -> None:
    start, end = min(name.start(), number.start()), max(name.end(), number.end())
    values = _values(named, number[0])
    if values:
        field = named.name if isinstance(named, Limit) else named.flag
        heard.warn(f"{heard.sentence.original(start, end)!r} is read as {field} {number[0]}")
        heard.say(field, values if len(values) > 1 or isinstance(named, Limit) else values[0], start, end)


def _values(named: Named, said: str) -> tuple[Value, ...]:
    if isinstance(named, Limit):
        levels = read_levels(said, named.kind)
        fit = all(level == int(level) and 1 <= level <= named.highest for level in levels)
        return tuple(int(level) for level in levels) if fit else ()
    try:
        return typed(named, said)
    except Unfit:
        return ()


@cache
def _patterns(catalog: Catalog, engine: str) -> list[tuple[re.Pattern[str], Named]]:
    """What finds the name of each limit, and of each argument with a number."""
    said: dict[str, list[str]] = {}
    arguments = {one.flag: one for one in catalog.arguments(engine).values()}
    for name, one in phrases_of(catalog, engine).named.items():
        if one.type in ("int", "float") and len(name) > 3:
            said.setdefault(one.flag, []).append(name)
    return [
        *((rx(rf"(?<![\w.-])(?:{limit.before})(?![\w-])"), limit) for limit in LIMITS),
        *((rx(rf"(?<![\w.-])(?:{one_of(names)})(?![\w-])"), arguments[flag]) for flag, names in said.items()),
    ]
