"""``__jinja__`` blocks: template text that only the second pass renders."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import Any

from servelab.tekton.slots import Scope, Slots

_START = re.compile(r"(?P<lead>\s*(?:- +)*)(?P<key>__jinja__\s*:\s*)[|>][-+0-9]*\s*(?:#.*)?")


@dataclass(frozen=True)
class Block:
    """The text of a ``__jinja__`` block, and the number of template lines before it."""

    text: str
    offset: int

    def value(self, scope: Scope) -> Any:
        """The block itself: the expander renders it."""
        del scope
        return self


def lift_blocks(source: str, slots: Slots) -> str:
    """Put a token in the place of each block's text; line numbers stay."""
    lines, index = source.split("\n"), 0
    while index < len(lines):
        start = _START.fullmatch(lines[index].expandtabs(8))
        index += 1
        if not start:
            continue
        column, first = len(start["lead"]), index
        while index < len(lines) and _belongs(lines[index].expandtabs(8), column):
            index += 1
        block = Block(textwrap.dedent("\n".join(lines[first:index])), first)
        lines[first - 1] = start["lead"] + start["key"] + slots.put(block)
        lines[first:index] = [""] * (index - first)
    return "\n".join(lines)


def _belongs(line: str, column: int) -> bool:
    return not line.strip() or len(line) - len(line.lstrip()) > column
