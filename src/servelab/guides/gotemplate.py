"""The part of Go templates that helmfiles use, with every line kept where it is.

Blocks (``if``, ``else if``, ``else``, ``end``) are decided where their conditions are about the environment's name and
known variables; what is left out becomes empty lines. Expressions that can be told are replaced by their text; an
expression that makes YAML of the environment's values becomes a mark, for which those values are put in later; any
other is kept as it is written, and told.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_TAG = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_COMMENT = re.compile(r"/\*.*\*/", re.DOTALL)
_MARK = "__values_of_environment_{}__"
MARK = re.compile(r"__values_of_environment_(\d+)__")
KEPT = "__template__"
"""Begins what could not be resolved."""


@dataclass
class Rendered:
    """A template's text with as many lines as before, and what is to be put into it."""

    text: str
    values: list[str] = field(default_factory=list)
    """Paths in the environment's values, by the number of their mark."""
    made: dict[int, list[int]] = field(default_factory=dict)
    """Lines, counted from 1, and those in which the variables were set that they name."""
    kept: list[tuple[int, str]] = field(default_factory=list)
    """Lines, counted from 1, and the expressions in them that could not be resolved."""


@dataclass
class _Block:
    active: bool
    """Whether the branch that is being read counts."""
    taken: bool
    """Whether a branch of it has counted."""


class Template:
    """Renders for one environment."""

    def __init__(self, environment: str, namespace: str | None = None) -> None:
        self._variables: dict[str, str] = {}
        self._set_in: dict[str, int] = {}
        self._environment = environment
        self._namespace = namespace

    def render(self, text: str) -> Rendered:
        """The template's text; its lines stay where they are."""
        result = Rendered("")
        blocks: list[_Block] = []
        parts: list[str] = []
        at = 0
        for tag in _TAG.finditer(text):
            self._literal(parts, text[at : tag.start()], blocks)
            at = tag.end()
            line = text.count("\n", 0, tag.start()) + 1
            shown = self._tag(_COMMENT.sub("", tag[1]).strip(), blocks, result, line)
            parts.append(shown + "\n" * tag[0].count("\n"))
        self._literal(parts, text[at:], blocks)
        result.text = "".join(parts)
        return result

    def _literal(self, parts: list[str], text: str, blocks: list[_Block]) -> None:
        parts.append(text if all(block.active for block in blocks) else "\n" * text.count("\n"))

    def _tag(self, inner: str, blocks: list[_Block], result: Rendered, line: int) -> str:
        word, _, rest = inner.partition(" ")
        active = all(block.active for block in blocks)
        if word in ("if", "with", "range"):
            known = self._condition(rest) if word == "if" and active else None
            if known is None and active:
                result.kept.append((line, inner))
            blocks.append(_Block(bool(known), bool(known)))
        elif word == "else" and blocks:
            last = blocks[-1]
            decided = self._condition(rest.removeprefix("if ")) if rest.startswith("if ") else True
            last.active = not last.taken and bool(decided)
            last.taken = last.taken or last.active
        elif word == "end" and blocks:
            blocks.pop()
        elif active and inner:
            return self._expression(inner, result, line)
        return ""

    def _expression(self, inner: str, result: Rendered, line: int) -> str:
        if assignment := re.fullmatch(r"\$(\w+)\s*:?=\s*(.*)", inner, re.DOTALL):
            value = self._value(assignment[2])
            if value is not None:
                self._variables[assignment[1]] = value
                self._set_in[assignment[1]] = line
            else:
                result.kept.append((line, inner))
            return ""
        if path := re.match(r"\.(?:Environment\.)?Values\.([\w.]+)", inner):
            result.values.append(path[1])
            return _MARK.format(len(result.values) - 1)
        value = self._value(inner)
        named = [self._set_in[name] for name in re.findall(r"\$(\w+)", inner) if name in self._set_in]
        result.made.setdefault(line, []).extend(named)
        if value is None:
            result.kept.append((line, inner))
            return f"{KEPT}{len(result.kept)}"
        return value

    def _value(self, pipeline: str) -> str | None:
        """What a pipeline makes; None where it cannot be told."""
        value: str | None = None
        for index, stage in enumerate(_split(pipeline, "|")):
            function, *arguments = _words(stage)
            value = self._call(function, arguments, value, first=index == 0)
        return value

    def _call(self, function: str, arguments: list[str], before: str | None, first: bool) -> str | None:
        if first and not arguments:
            return self._atom(function)
        given = [self._atom(one) for one in arguments]
        functions: dict[str, Callable[[], str | None]] = {
            "default": lambda: before or (given[0] if given else None),
            "quote": lambda: f'"{before}"' if before is not None else None,
            "env": lambda: "",  # of no environment: what the guide does by default
            "printf": lambda: _printf(given),
            "trim": lambda: before.strip() if before is not None else None,
            "toString": lambda: before,
        }
        return functions[function]() if function in functions else None

    def _atom(self, word: str) -> str | None:
        if word.startswith("(") and word.endswith(")"):
            return self._value(word[1:-1])
        if word[:1] in "\"'`" and len(word) > 1:
            return word[1:-1]
        if word.startswith("$"):
            return self._variables.get(word[1:])
        if word == ".Environment.Name":
            return self._environment
        if word == ".Namespace":
            return self._namespace or ""
        return word if re.fullmatch(r"-?\d+(\.\d+)?|true|false", word) else None

    def _condition(self, text: str) -> bool | None:
        """Whether a condition holds; None where it cannot be told."""
        words = _words(text)
        function, arguments = (words[0], words[1:]) if words else ("", [])
        if function in ("and", "or"):
            found = [self._condition(one) for one in arguments]
            if function == "or":
                return True if True in found else None if None in found else False
            return False if False in found else None if None in found else True
        if function == "not":
            inner = self._condition(" ".join(arguments))
            return None if inner is None else not inner
        if function in ("eq", "ne"):
            values = [self._atom(one) for one in arguments]
            if None in values or not values:
                return None
            equal = values[0] in values[1:]
            return equal if function == "eq" else not equal
        if function.startswith("(") and not arguments:
            return self._condition(function[1:-1])
        value = self._atom(function) if not arguments else self._value(text)
        return None if value is None else value not in ("", "false", "0")


def _printf(given: list[str | None]) -> str | None:
    if not given or None in given:
        return None
    text, values = str(given[0]), iter(str(one) for one in given[1:])
    return re.sub(r"%[sdvq]", lambda _: next(values, ""), text)


def _split(text: str, sign: str) -> list[str]:
    """Parts between signs that are in no quotes and no parentheses."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'`":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == sign and depth == 0:
            parts.append("")
            continue
        parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _words(text: str) -> list[str]:
    return _split(text.replace("\n", " ").replace("\t", " "), " ") or [""]
