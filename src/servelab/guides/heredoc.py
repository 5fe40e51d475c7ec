"""Write values so that a shell reads them back unchanged."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BARE = re.compile(r"[A-Za-z0-9_.:/@%+,-]+")
_SPECIAL = re.compile(r"[\\$`]")


def assigned(value: str) -> str:
    """The right side of an assignment: bare where that is safe, and else in double quotes."""
    if _BARE.fullmatch(value):
        return value
    return '"' + _SPECIAL.sub(r"\\\g<0>", value).replace('"', '\\"') + '"'


def heredoc(variable: str, lines: Sequence[str]) -> list[str]:
    """A file that the variable names, with these lines, which are escaped already; see ``escaped``."""
    end = "EOF"
    while end in lines:
        end += "_"
    return [f"export {variable}=$(mktemp)", f"cat << {end} > ${variable}", *lines, end]


def escaped(text: str) -> str:
    """Text as it stands in a heredoc of which the shell expands nothing."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def lines_of(text: str) -> list[str]:
    """The lines of a text as a shell and YAML count them; no other sign of Unicode ends one."""
    return text.removesuffix("\n").split("\n")


def comment(text: str) -> list[str]:
    """Text as comments, a line each, whatever ends its lines: none of it is ever a command."""
    return [f"# {line}".rstrip() for line in text.splitlines()]
