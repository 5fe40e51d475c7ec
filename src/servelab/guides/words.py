"""Read the words after a guide: ``with HARNESS PROFILE varying PARAM from A to B step S``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from servelab.guides.experiment import MOST_TREATMENTS, Variation
from servelab.guides.parse import GuideError

USAGE = "Write: [with HARNESS PROFILE] [varying PARAM from A to B [step S] | in V1,V2,…]…"
_KEYWORDS = ("with", "varying")


@dataclass(frozen=True)
class Asked:
    """What the words ask for."""

    harness: str = ""
    profile: str = ""
    variations: tuple[Variation, ...] = ()


def read_words(words: Sequence[str]) -> Asked:
    """What the words ask for.

    Raises:
        GuideError: they are not of that form.
    """
    rest = list(words)
    harness = profile = ""
    variations: list[Variation] = []
    while rest:
        keyword = rest.pop(0).lower()
        if keyword == "with" and not harness:
            harness = _next(rest, "a harness after `with`")
            if rest and rest[0].lower() not in _KEYWORDS:
                profile = rest.pop(0)
        elif keyword == "varying":
            variations.append(_variation(rest))
        else:
            raise GuideError(f"{keyword!r} is not understood after the guide", USAGE)
    return Asked(harness, profile, tuple(variations))


def _variation(rest: list[str]) -> Variation:
    parameter = _next(rest, "a parameter after `varying`")
    keyword = _next(rest, f"`from` or `in` after `varying {parameter}`").lower()
    if keyword == "in":
        taken = []
        while rest and rest[0].lower() not in _KEYWORDS:
            taken.append(rest.pop(0))
        levels = tuple(part.strip() for part in " ".join(taken).split(",") if part.strip())
        if not levels:
            raise GuideError(f"`varying {parameter} in` names no values", USAGE)
        return Variation(parameter, tuple(dict.fromkeys(levels)))
    if keyword != "from":
        raise GuideError(f"`varying {parameter} {keyword}` is not understood", USAGE)
    first = _number(_next(rest, f"a number after `varying {parameter} from`"))
    if _next(rest, "`to` after the first value").lower() != "to":
        raise GuideError(f"`to` is missing in `varying {parameter} from {first}`", USAGE)
    last = _number(_next(rest, "a number after `to`"))
    step = Decimal(1) if last >= first else Decimal(-1)
    if rest and rest[0].lower() in ("step", "by"):
        rest.pop(0)
        step = _number(_next(rest, "a number after `step`"))
    return Variation(parameter, _range(first, last, step))


def _range(first: Decimal, last: Decimal, step: Decimal) -> tuple[str, ...]:
    if step == 0 or (last - first) * step < 0:
        raise GuideError(f"from {first} to {last} is no way in steps of {step}", USAGE)
    count = int((last - first) / step) + 1
    if count > MOST_TREATMENTS:
        raise GuideError(f"{count:,} levels are too many", f"At most {MOST_TREATMENTS:,}.")
    return tuple(format((first + step * index).normalize(), "f") for index in range(count))


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise GuideError(f"{text!r} is no number", USAGE) from None
    if not value.is_finite() or abs(value) > Decimal(10) ** 15:
        raise GuideError(f"{text!r} is no number to count to", USAGE)
    return value


def _next(rest: list[str], what: str) -> str:
    if not rest:
        raise GuideError(f"{what} is missing", USAGE)
    return rest.pop(0)
