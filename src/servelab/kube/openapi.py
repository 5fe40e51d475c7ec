"""An object beside the OpenAPI schema of its custom resource, as an API server of today checks it strictly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
Found = tuple[Path, str]
"""Where something is wrong, as keys and indexes from the top of the object, and what."""


@dataclass(frozen=True)
class Embedded:
    """What a field holds that its custom resource leaves open: the schema (None: unknown), and names beside it."""

    schema: Mapping[str, Any] | None
    beside: frozenset[str] = frozenset()


Open = Mapping[str, Embedded]
"""By the names of the fields."""

_OBJECT = frozenset({"apiVersion", "kind", "metadata"})
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def check_openapi(item: Mapping[str, Any], schema: Mapping[str, Any], embedded: Open | None = None) -> Iterator[Found]:
    """Unknown fields, missing ones, and values of the wrong type or outside of their enumeration."""
    yield from _check(item, schema, (), embedded or {}, _OBJECT)


def _check(
    value: Any, schema: Mapping[str, Any], path: Path, embedded: Open, also: frozenset[str] = frozenset()
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
    if "enum" in schema and value not in schema["enum"]:
        yield path, f"the API server takes {', '.join(map(str, schema['enum']))}, this is {described(value)}"
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], (*path, index), embedded)
    if isinstance(value, dict):
        yield from _check_fields(value, schema, path, embedded, also)


def _check_fields(
    value: Mapping[str, Any], schema: Mapping[str, Any], path: Path, embedded: Open, also: frozenset[str]
) -> Iterator[Found]:
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    # Tekton's webhook gives a step without a name an empty one, before the schema is looked at.
    optional = {"name"} if "steps" in path[-2:-1] else set()
    for name in schema.get("required", []):
        if name not in value and name not in optional:
            yield path, f"the API server needs `{name}`"
    for name, child in value.items():
        if name in embedded and name in fields and "properties" not in fields[name]:
            yield from _check_embedded(child, embedded[name], (*path, str(name)), embedded)
        elif name in fields:
            yield from _check(child, fields[name], (*path, str(name)), embedded)
        elif isinstance(others, dict):
            yield from _check(child, others, (*path, str(name)), embedded)
        elif fields and not schema.get("x-kubernetes-preserve-unknown-fields") and not others and name not in also:
            yield path, f"the API server knows no field `{name}`"


def _check_embedded(value: Any, held: Embedded, path: Path, embedded: Open) -> Iterator[Found]:
    spec = (held.schema or {}).get("properties", {}).get("spec")
    if spec and isinstance(value, dict):
        yield from _check(value, spec, path, embedded, held.beside)


def described(value: Any) -> str:
    """What a value is, in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
