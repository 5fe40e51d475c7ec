"""Read a study from YAML or JSON text; every fault is told with file, line and column."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from servelab.spec.errors import DocumentError, Fault
from servelab.spec.migrate import migrate
from servelab.spec.study import Study

Path = tuple[str | int, ...]
"""Where a value stands in a document: keys and indexes from the top."""

MOST = 100_000
"""Values of a document, those of its aliases counted each time: a study has some hundred."""


@dataclasses.dataclass(frozen=True)
class Document:
    """A parsed document: plain ``data``, and the position of each value in ``source``."""

    data: dict[str, Any]
    source: str
    positions: Mapping[Path, tuple[int, int]]

    def where(self, path: Sequence[str | int]) -> str:
        """``file:line:column`` of the value at ``path``, or of the nearest thing around it."""
        line, column = self._position(path)
        return f"{self.source}:{line}:{column}"

    def fault(self, path: Sequence[str | int], message: str) -> Fault:
        """A fault of the value at ``path``, with its position."""
        line, column = self._position(path)
        return Fault(message, tuple(path), self.source, line, column)

    def _position(self, path: Sequence[str | int]) -> tuple[int, int]:
        known = tuple(path)
        while known and known not in self.positions:
            known = known[:-1]
        line, column = self.positions.get(known, (0, 0))
        return line + 1, column + 1

    def study(self) -> Study:
        """The study that the document describes.

        Raises:
            DocumentError: with one line per fault.
        """
        try:
            return Study.model_validate(migrate(self.data))
        except ValidationError as error:
            raise DocumentError(tuple(self._explain(fault) for fault in _without_echoes(error.errors()))) from None

    def _explain(self, fault: ErrorDetails) -> Fault:
        path = self._real_path(fault)
        name = ".".join(str(part) for part in path)
        if fault["type"] == "extra_forbidden":
            field = str(path[-1])
            known = _suggestion(field, field_names(path[:-1]))
            return self.fault(path, f"unknown field `{field}`{_in(path[:-1])}{known}")
        if fault["type"] == "missing":
            return self.fault(path, f"`{name}` is missing")
        if fault["type"] == "too_short" and not fault["ctx"]["actual_length"]:
            return self.fault(path, f"{name}: is empty, give at least {fault['ctx']['min_length']}")
        return self.fault(path, f"{name + ': ' if name else ''}{fault['msg'].removeprefix('Value error, ')}")

    def _real_path(self, fault: ErrorDetails) -> Path:
        """Drop from pydantic's location the union tags, which no document holds."""
        path: Path = ()
        parts = [part for part in fault["loc"] if part != "[key]"]
        for index, part in enumerate(parts):
            is_absent_field = index == len(parts) - 1 and fault["type"] == "missing"
            if (*path, part) in self.positions or is_absent_field:
                path = (*path, part)
        return path


def parse_document(text: str, source: str = "study.yaml", what: str = "study") -> Document:
    """Parse YAML or JSON text into plain data with positions.

    Raises:
        DocumentError: it is not YAML, or not a mapping.
    """
    try:
        # The round-trip loader knows positions; it builds no objects from tags.
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise DocumentError((Fault(error.problem or "this is not YAML", (), source, line, column),)) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise DocumentError((Fault(f"this is not YAML: {str(error).splitlines()[0]}", (), source),)) from None
    if not isinstance(tree, CommentedMap):
        told = Fault(f"a {what} is a mapping of fields, this is {_kind(tree)}", (), source)
        raise DocumentError((told,), "See docs/study.md." if what == "study" else "")
    positions: dict[Path, tuple[int, int]] = {}
    try:
        data = _plain(tree, (), positions)
    except (_EndlessError, RecursionError):
        told = Fault(f"this has more than {MOST:,} values: it repeats itself without end", (), source)
        raise DocumentError((told,)) from None
    return Document(data, source, positions)


def parse_study(text: str, source: str = "study.yaml") -> Study:
    """Parse and validate a study in its full form.

    Raises:
        DocumentError: with one line per fault.
    """
    return parse_document(text, source).study()


class _EndlessError(Exception):
    """Aliases repeat so much that the document would not fit anywhere."""


def _plain(node: Any, path: Path, positions: dict[Path, tuple[int, int]]) -> Any:
    if len(positions) > MOST:
        raise _EndlessError
    if isinstance(node, CommentedMap):
        for key in node:
            # A key that came through a merge (<<) has no position of its own.
            known = key in (node.lc.data or {})
            positions[(*path, str(key))] = node.lc.key(key) if known else positions.get(path, (0, 0))
        return {str(key): _plain(value, (*path, str(key)), positions) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            positions[(*path, index)] = node.lc.item(index)
        return [_plain(value, (*path, index), positions) for index, value in enumerate(node)]
    return _scalar(node)


def _scalar(node: Any) -> Any:
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return None if node is None else str(node)


def _without_echoes(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """Of the members of a union that all refuse a value, keep the first one's word."""
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for fault in faults:
        union_member = fault["loc"] and str(fault["loc"][-1]) in {"bool", "int", "float", "str"}
        key = (fault["loc"][:-1], repr(fault["input"])) if union_member else (fault["loc"], fault["msg"])
        if key not in seen:
            seen.add(key)
            kept.append(fault)
    return kept


def field_names(path: Sequence[str | int]) -> tuple[str, ...]:
    """The names of the fields that a study may have at ``path``, from its JSON Schema."""
    schema = Study.model_json_schema()
    nodes = [schema]
    for part in path:
        nodes = [child for node in _resolved(nodes, schema) for child in _children(node, part)]
    return tuple(dict.fromkeys(name for node in _resolved(nodes, schema) for name in node.get("properties", {})))


def _resolved(nodes: Sequence[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for node in nodes:
        if "$ref" in node:
            found += _resolved([schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]], schema)
        elif "anyOf" in node or "oneOf" in node:
            found += _resolved(node.get("anyOf", node.get("oneOf", [])), schema)
        else:
            found.append(node)
    return found


def _children(node: dict[str, Any], part: str | int) -> list[dict[str, Any]]:
    children = [node.get("properties", {}).get(part), node.get("additionalProperties"), node.get("items")]
    return [child for child in children if isinstance(child, dict)]


def _suggestion(name: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.6)
    if nearest:
        return f", did you mean `{nearest[0]}`?"
    return f"; known are {', '.join(known)}" if known else ""


def _in(path: Path) -> str:
    return f" in `{'.'.join(str(part) for part in path)}`" if path else ""


def _kind(value: Any) -> str:
    return "empty" if value is None else "a list" if isinstance(value, list) else "plain text"
