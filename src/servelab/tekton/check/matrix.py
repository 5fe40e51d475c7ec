"""What Tekton refuses in a matrix (pkg/apis/pipeline/v1/matrix_types.go)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from servelab.tekton.check.params import Found, items

MAX_COMBINATIONS = 256
"""Tekton's default-max-matrix-combinations-count."""


def matrix_params(task: Mapping[str, Any]) -> list[str]:
    """The parameters that the matrix of ``task`` gives."""
    return [str(param.get("name")) for _, param in _given(task)]


def check_matrix(task: Mapping[str, Any]) -> Iterator[Found]:
    """The matrix of a pipeline's task; paths begin below the task."""
    matrix = task.get("matrix")
    if not isinstance(matrix, dict):
        return
    own = {str(param.get("name")) for _, param in items(task, "params")}
    for path, param in _given(task):
        name = param.get("name")
        if name in own:
            yield path, f"parameter `{name}` is in `matrix` and in `params`; it can be in one of them"
    names = [str(param.get("name")) for _, param in items(matrix, "params")]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield ("matrix", "params"), f"parameter `{name}` is in the matrix twice"
    lengths = [1]
    for index, param in items(matrix, "params"):
        value = param.get("value")
        if isinstance(value, str) and "$(" not in value:
            yield ("matrix", "params", index, "value"), f"parameter `{param.get('name')}` of a matrix takes a list"
        if isinstance(value, list) and not any("[*]" in str(item) for item in value):
            lengths.append(len(value))
    if math.prod(lengths) > MAX_COMBINATIONS:
        yield ("matrix",), f"the matrix has {math.prod(lengths)} combinations, Tekton runs at most {MAX_COMBINATIONS}"


def _given(task: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    matrix = task.get("matrix")
    if not isinstance(matrix, dict):
        return
    for index, param in items(matrix, "params"):
        yield ("matrix", "params", index), param
    for index, include in items(matrix, "include"):
        for place, param in items(include, "params"):
            yield ("matrix", "include", index, "params", place), param
