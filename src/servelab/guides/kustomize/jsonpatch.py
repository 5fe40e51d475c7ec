"""JSON patches (RFC 6902) on trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from servelab.guides.parse import GuideError
from servelab.guides.tree import Node


def patched(target: Node, operations: Node) -> Node:
    """The target after all operations, in their order.

    Raises:
        GuideError: an operation does not fit the target; says which and where it is written.
    """
    for operation in operations.items:
        target = _applied(target, operation)
    return target


def _applied(target: Node, operation: Node) -> Node:
    kind = operation.map["op"].text if "op" in operation.map else ""
    path = _pointer(operation, "path")
    if kind in ("add", "replace"):
        if "value" not in operation.map:
            raise _error(operation, "has no value")
        return _set(target, path, _with_path(operation), operation, insert=kind == "add")
    if kind == "remove":
        return _removed(target, path, operation)
    if kind in ("move", "copy"):
        origin = _pointer(operation, "from")
        value = _at(target, origin, operation)
        target = _removed(target, origin, operation) if kind == "move" else target
        return _set(target, path, value, operation, insert=True)
    if kind == "test":
        wanted = operation.map.get("value")
        if wanted is None or _at(target, path, operation).plain() != wanted.plain():
            raise _error(operation, "is a test that fails")
        return target
    raise _error(operation, f"has the unknown op {kind!r}")


def _with_path(operation: Node) -> Node:
    """The value of an operation, with the line of its path, which names the field."""
    path, value = operation.get("path"), operation.map["value"]
    return replace(value, also=(*value.also, path.span)) if path is not None and path.span is not None else value


def _pointer(operation: Node, field: str) -> list[str]:
    text = operation.map[field].text if field in operation.map else ""
    if text and not text.startswith("/"):
        raise _error(operation, f"has a {field} that does not begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _at(target: Node, path: Sequence[str], operation: Node) -> Node:
    for part in path:
        target = _child(target, part, operation)
    return target


def _child(target: Node, part: str, operation: Node) -> Node:
    if part in target.map:
        return target.map[part]
    if part.isdecimal() and int(part) < len(target.items):
        return target.items[int(part)]
    raise _error(operation, f"names {part!r}, which is not there")


def _set(target: Node, path: Sequence[str], value: Node, operation: Node, insert: bool) -> Node:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if rest:
        return _with(target, first, _set(_child(target, first, operation), rest, value, operation, insert))
    if isinstance(target.content, Sequence):
        items = list(target.items)
        if first == "-" and insert:
            return replace(target, content=[*items, value])
        if not first.isdecimal() or int(first) > len(items) - (not insert):
            raise _error(operation, f"names the element {first!r} of {len(items)}")
        items[int(first) : int(first) + (not insert)] = [value]
        return replace(target, content=items)
    if not insert and first not in target.map:
        raise _error(operation, f"replaces {first!r}, which is not there")
    return replace(target, content={**target.map, first: value})


def _removed(target: Node, path: Sequence[str], operation: Node) -> Node:
    if not path:
        raise _error(operation, "removes everything")
    first, rest = path[0], path[1:]
    child = _child(target, first, operation)
    if rest:
        return _with(target, first, _removed(child, rest, operation))
    if first in target.map:
        return replace(target, content={name: one for name, one in target.map.items() if name != first})
    return replace(target, content=[one for index, one in enumerate(target.items) if index != int(first)])


def _with(target: Node, part: str, child: Node) -> Node:
    if part in target.map:
        return replace(target, content={**target.map, part: child})
    return replace(target, content=[child if index == int(part) else one for index, one in enumerate(target.items)])


def _error(operation: Node, what: str) -> GuideError:
    where = f"{operation.span.file}:{operation.span.first}" if operation.span else "a patch"
    return GuideError(f"{where}: this patch {what}", "Mend the patch, or the base that it is for.")
