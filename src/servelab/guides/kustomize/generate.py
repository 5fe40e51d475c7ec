"""ConfigMaps that a kustomization generates, under names that end in a hash of their content."""

from __future__ import annotations

import hashlib
import json
import posixpath

from servelab.guides.kustomize.resource import Resource
from servelab.guides.parse import GuideError, decoded
from servelab.guides.place import Place, joined
from servelab.guides.tree import Node, Scalar, Span, made

_LETTERS = str.maketrans("013ae", "ghkmt")  # kustomize's hash has no digits and vowels that may form words


def config_map(entry: Node, folder: str, place: Place, options: Node | None) -> Resource:
    """The ConfigMap of an entry of ``configMapGenerator``.

    Raises:
        GuideError: a file of it is not there.
    """
    data: dict[str, Node] = {}
    for one in _list(entry, "files"):
        left, sign, right = one.text.partition("=")
        key, path = (left, right) if sign else (posixpath.basename(one.text), one.text)
        data[key] = _file(place, joined(folder, path), one)
    for one in _list(entry, "literals"):
        key, _, value = one.text.partition("=")
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        data[key] = Node(Scalar(value[1:-1] if quoted else value), one.span)
    for one in (*_list(entry, "envs"), *([entry.map["env"]] if "env" in entry.map else [])):
        for line in _file(place, joined(folder, one.text), one).text.splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                key, _, value = line.partition("=")
                data[key.strip()] = Node(Scalar(value), one.span)
    name = entry.map["name"] if "name" in entry.map else made("", entry.span)
    metadata: dict[str, Node] = {"name": name}
    own = entry.get("options")
    for field in ("labels", "annotations"):
        both = {**_fields(options, field), **_fields(own, field)}
        if both:
            metadata[field] = Node(both, entry.span)
    fields = {
        "apiVersion": made("v1", entry.span),
        "data": Node(dict(sorted(data.items())), entry.span),
        "kind": made("ConfigMap", entry.span),
        "metadata": Node(metadata, entry.span),
    }
    hashed = not any(
        one is not None and one.true
        for one in (own and own.get("disableNameSuffixHash"), options and options.get("disableNameSuffixHash"))
    )
    return Resource(Node(fields, entry.span), generated=hashed)


def hashed_name(one: Resource) -> str:
    """Its name with kustomize's hash of its content."""
    data = one.node.get("data")
    content = {"data": data.plain() if data else "", "kind": one.kind, "name": ""}  # kustomize leaves the name out
    text = json.dumps(content, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f"{one.name}-{hashlib.sha256(text.encode()).hexdigest()[:10].translate(_LETTERS)}"


def _file(place: Place, path: str, named: Node) -> Node:
    content = place.read(path)
    if content is None:
        where = f"{named.span.file}:{named.span.first}: " if named.span else ""
        raise GuideError(f"{where}{place.shown(path)}: there is no such file", "Give the whole guide.")
    text = decoded(content, place.shown(path))
    return Node(Scalar(text), Span(place.shown(path), 1, max(1, len(text.splitlines()))))


def _list(entry: Node, field: str) -> list[Node]:
    found = entry.get(field)
    return list(found.items) if found else []


def _fields(options: Node | None, field: str) -> dict[str, Node]:
    found = options.get(field) if options else None
    return dict(found.map) if found else {}
