"""The ``$(...)`` variables in the texts of an object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from servelab.tekton.check.problem import Path

_VARIABLE = re.compile(r"\$\(([^()\s$]+)\)")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(?:'([^']*)'|\"([^\"]*)\"|(\*|\d+))\]")


@dataclass(frozen=True)
class Reference:
    """One variable: its parts, as ``("params", "model")``; its index, ``*`` or a number; and where it stands."""

    text: str
    parts: tuple[str, ...]
    index: str | None
    isolated: bool
    """Whether the variable is the whole text."""
    path: Path

    @property
    def root(self) -> str:
        """The first part."""
        return self.parts[0]


def references(node: Any, path: Path = ()) -> Iterator[Reference]:
    """Every variable in the texts below ``node``, which stands at ``path``."""
    if isinstance(node, str):
        for match in _VARIABLE.finditer(node):
            parsed = _parse(match[1])
            if parsed:
                yield Reference(match[0], *parsed, match[0] == node, path)
    elif isinstance(node, dict):
        for key, value in node.items():
            if _may_refer(value):
                yield from references(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            if _may_refer(value):
                yield from references(value, (*path, index))


def _may_refer(node: Any) -> bool:
    """Whether a text has a variable; most have none, and there are many."""
    return "$(" in node if isinstance(node, str) else isinstance(node, dict | list)


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[tuple[str, ...], str | None] | None:
    parts: list[str] = []
    index, position = None, 0
    for step in _STEP.finditer(text):
        if step.start() != position:
            return None
        position = step.end()
        if step[4] is not None:
            index = step[4]
        else:
            parts.append(next(part for part in step.groups()[:3] if part is not None))
    return (tuple(parts), index) if position == len(text) and parts else None
