"""Changes that may mend a failure, and those that fit a certain experiment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from servelab.spec.base import Spec, Value
from servelab.tekton.changes import Change

Operation = Literal["double", "halve", "ask"]

_QUANTITY = re.compile(r"(\d+)([A-Za-z]*)")


class Fix(Spec):
    """A fix as data/failures.yaml has it: parameter -> how it changes, or the value that it takes (null: unset)."""

    title: str
    why: str = ""
    set: dict[str, Operation | Value | None]


class Option(Spec):
    """A fix for a certain treatment. ``asks`` names the parameters whose value the person must give."""

    title: str
    why: str
    changes: tuple[Change, ...] = ()
    asks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """In one line, as ``[Increase TP] TP=2 -> 4 (doubles accelerator memory)``."""
        what = ", ".join(map(str, self.changes))
        return f"[{self.title}]" + (f" {what}" if what else "") + (f" ({self.why})" if self.why else "")


def option(fix: Fix, parameters: Mapping[str, Any], names: Mapping[str, str] = MappingProxyType({})) -> Option | None:
    """A fix as it applies to an engine's parameters; None when it does not: nothing is there to change.

    ``names`` are the engine's own for the parameters that the fix sets.
    """
    changes, asks = [], []
    for parameter, how in fix.set.items():
        name = names.get(parameter, parameter)
        before = parameters.get(name)
        if how == "ask":
            asks.append(name)
            continue
        after = _after(how, before)
        if after == before:
            return None
        changes.append(Change(name, before, after))
    return Option(title=fix.title, why=fix.why, changes=tuple(changes), asks=tuple(asks))


def _after(how: Operation | Value | None, before: Any) -> Value | None:
    if how not in ("double", "halve"):
        return how
    found = _QUANTITY.fullmatch(str(before)) if before is not None and not isinstance(before, bool) else None
    if found is None:
        return None
    number = int(found[1]) * 2 if how == "double" else max(1, int(found[1]) // 2)
    return number if isinstance(before, int) or not found[2] else f"{number}{found[2]}"
