"""An object beside the OpenAPI schema of its custom resource, as an API server of today checks it strictly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from servelab.tekton.check.fields import described
from servelab.tekton.check.params import Found
from servelab.tekton.check.problem import Path

Embedded = Callable[[str], Mapping[str, Any] | None]
"""The schema of a kind whose spec is embedded elsewhere."""

_OPEN = {"taskSpec": "Task", "pipelineSpec": "Pipeline"}
"""Fields that the custom resources leave open, and the kind whose spec they hold."""

_BESIDE = {"taskSpec": {"apiVersion", "kind", "metadata", "spec"}}
_OBJECT = {"apiVersion", "kind", "metadata"}
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def check_openapi(item: Mapping[str, Any], schema: Mapping[str, Any], embedded: Embedded) -> Iterator[Found]:
    """Unknown fields, missing ones, and values of the wrong type."""
    yield from _check(item, schema, (), embedded, _OBJECT)


def _check(
    value: Any, schema: Mapping[str, Any], path: Path, embedded: Embedded, also: set[str] | frozenset[str] = frozenset()
) -> Iterator[Found]:
    wanted = schema.get("type")
    if value is None:
        return
    if schema.get("x-kubernetes-int-or-string"):
        wanted = None
    if wanted in _TYPES and (
        not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted not in {"boolean"})
    ):
        yield path, f"the API server expects {wanted}, this is {described(value)}"
        return
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], (*path, index), embedded)
    if isinstance(value, dict):
        yield from _check_fields(value, schema, path, embedded, also)


def _check_fields(
    value: Mapping[str, Any], schema: Mapping[str, Any], path: Path, embedded: Embedded, also: set[str] | frozenset[str]
) -> Iterator[Found]:
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", []):
        if name not in value:
            yield path, f"the API server needs `{name}`"
    for name, child in value.items():
        if name in _OPEN and name in fields and "properties" not in fields[name]:
            yield from _check_embedded(child, str(name), (*path, str(name)), embedded)
        elif name in fields:
            yield from _check(child, fields[name], (*path, str(name)), embedded)
        elif isinstance(others, dict):
            yield from _check(child, others, (*path, str(name)), embedded)
        elif fields and not schema.get("x-kubernetes-preserve-unknown-fields") and not others and name not in also:
            yield path, f"the API server knows no field `{name}`"


def _check_embedded(value: Any, field: str, path: Path, embedded: Embedded) -> Iterator[Found]:
    schema = embedded(_OPEN[field])
    spec = (schema or {}).get("properties", {}).get("spec")
    if spec and isinstance(value, dict):
        yield from _check(value, spec, path, embedded, _BESIDE.get(field, set()))
