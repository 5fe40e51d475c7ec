"""Fields that an object may not have, lacks, or that hold a value of the wrong kind.

The API server prunes fields that it does not know and keeps everything in embedded specs, without a word.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from servelab.kube.openapi import described
from servelab.tekton.check.problem import Path, Problem

KINDS = ("Pipeline", "PipelineRun", "Task", "StepAction")

_SCALARS: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "a text"),
    "int": ((int,), "a whole number"),
    "bool": ((bool,), "true or false"),
    "quantity": ((str, int, float), "a text or a number"),
}


@cache
def _types() -> dict[str, tuple[dict[str, str], tuple[str, ...]]]:
    """The kind of each field of each type, and the names of those that are required."""
    text = (files("servelab.tekton.check") / "fields.yaml").read_text(encoding="utf-8")
    return {
        name: (
            {field.rstrip("!"): kind for field, kind in fields.items()},
            tuple(field.rstrip("!") for field in fields if field.endswith("!")),
        )
        for name, fields in yaml.safe_load(text).items()
    }


def check_fields(document: Mapping[str, Any], kind: str, subject: str) -> Iterator[Problem]:
    """Compare ``document`` with the fields that a ``kind`` has."""
    for path, message in _check(document, kind, ()):
        yield Problem(subject, path, message)


def _check(value: Any, kind: str, path: Path) -> Iterator[tuple[Path, str]]:
    if kind == "any":
        return
    if kind in _SCALARS:
        allowed, wanted = _SCALARS[kind]
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind != "bool"):
            yield path, f"{wanted} was expected, this is {described(value)}"
    elif kind.startswith("["):
        if not isinstance(value, list):
            yield path, f"a list was expected, this is {described(value)}"
            return
        for index, item in enumerate(value):
            yield from _check(item, kind[1:-1], (*path, index))
    elif not isinstance(value, dict):
        yield path, f"a mapping was expected, this is {described(value)}"
    elif kind.startswith("{"):
        for key, item in value.items():
            yield from _check(item, kind[1:-1], (*path, str(key)))
    else:
        yield from _check_type(value, kind, path)


def _check_type(value: Mapping[Any, Any], kind: str, path: Path) -> Iterator[tuple[Path, str]]:
    fields, required = _types()[kind]
    for name in required:
        if name not in value:
            yield path, f"`{name}` is missing"
    for name, child in value.items():
        if name not in fields:
            yield path, f"unknown field `{name}`{_nearest(str(name), list(fields))}"
        elif child is not None or fields[name] in _SCALARS:
            yield from _check(child, fields[name], (*path, name))


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f", did you mean `{near[0]}`?" if near else ""
