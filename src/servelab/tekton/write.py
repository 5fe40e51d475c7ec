"""Plain data as YAML text that people can read: block style, long texts as they are.

PyYAML writes a pipeline of thousands of tasks in half a minute, most of it for values that the tasks share; here
what is shared is written once.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from servelab.tekton.plain import is_plain_word

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_PLAIN = re.compile(r"(?:--?)?[A-Za-z_/$](?:[^\W\x7f-\xff]|[ ./@$()+\-=,\"'\[\]~&*%|?!<>;^]|:(?! )|(?<! )#)*")
_BLOCK = re.compile(r"[^\s][^\n]*(?:\n[^\n]*)*", re.DOTALL)


def to_yaml(data: Any) -> str:
    """``data`` (mappings, lists, texts, numbers, booleans, None) as YAML."""
    return _Writer().node(data, 0).lstrip() + "\n"


class _Writer:
    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()
        self._written: dict[tuple[int, int], str] = {}
        self._texts: dict[tuple[str, int | None], str] = {}

    def node(self, node: Any, indent: int) -> str:
        """What follows the colon or dash of its place: `` scalar``, or lines that begin with a line break."""
        if not isinstance(node, dict | list):
            return " " + self._scalar(node, indent)
        if not node:
            return " {}" if isinstance(node, dict) else " []"
        key = (id(node), indent)
        text = self._written.get(key)
        if text is None:
            text = self._mapping(node, indent) if isinstance(node, dict) else self._list(node, indent)
            if key in self._seen:
                self._written[key] = text
            self._seen.add(key)
        return text

    def _mapping(self, node: dict[Any, Any], indent: int) -> str:
        lead = "\n" + " " * indent
        parts = []
        for key, value in node.items():
            # A list stands below its key at the same depth.
            deeper = indent if isinstance(value, list) else indent + 2
            parts.append(f"{lead}{self._scalar(key, None)}:{self.node(value, deeper)}")
        return "".join(parts)

    def _list(self, node: list[Any], indent: int) -> str:
        lead = "\n" + " " * indent + "-"
        parts = []
        for value in node:
            text = self.node(value, indent + 2)
            # The first field of a mapping, the first item of a list stand behind the dash.
            parts.append(lead + (" " + text.lstrip() if text.startswith("\n") else text))
        return "".join(parts)

    def _scalar(self, value: Any, indent: int | None) -> str:
        if not isinstance(value, str):
            return _number(value)
        text = self._texts.get((value, indent))
        if text is None:
            text = self._texts[value, indent] = _text(value, indent)
        return text


def _text(value: str, indent: int | None) -> str:
    if is_plain_word(value) or (_PLAIN.fullmatch(value) and not value.endswith((" ", ":")) and _is_text(value)):
        return value
    if indent is not None and "\n" in value and _BLOCK.fullmatch(value) and not _UNSAFE.search(value):
        body = value.rstrip("\n")
        if len(value) - len(body) <= 1 and "\t" not in value:
            lead = "\n" + " " * max(indent, 2)
            return ("|" if value.endswith("\n") else "|-") + "".join(
                lead + line if line else "\n" for line in body.split("\n")
            )
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _is_text(value: str) -> bool:
    """Whether YAML reads a bare word of these letters as text and not as a boolean or null."""
    return value.lower() not in {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def _number(value: Any) -> str:
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    if isinstance(value, float) and math.isnan(value):
        return ".nan"
    # YAML 1.1 takes 1e-05 for text, 1.0e-05 for the number.
    return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value))
