"""Kubernetes objects on their way through kustomize."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from servelab.guides.tree import Node, Scalar, Span


@dataclass(frozen=True)
class Resource:
    """An object, and the names that it had before (patches find it by any of them)."""

    node: Node
    names: tuple[str, ...] = ()
    generated: bool = False
    """Whether its name gets a hash of its content."""

    @property
    def kind(self) -> str:
        """Its kind."""
        return _text(self.node, "kind")

    @property
    def name(self) -> str:
        """Its name now."""
        return _text(self.node, "metadata", "name")

    @property
    def builtin(self) -> bool:
        """Whether it is of Kubernetes itself: in others, kustomize knows no fields that name objects."""
        group, sign, _ = _text(self.node, "apiVersion").rpartition("/")
        return not sign or "." not in group or (group.endswith(".k8s.io") and not group.endswith(".x-k8s.io"))

    def labels(self) -> dict[str, str]:
        """Its own labels."""
        found = self.node.get("metadata", "labels")
        return {} if found is None else {name: value.text for name, value in found.map.items()}

    def renamed(self, name: str) -> Resource:
        """The same with another name."""
        node = put(self.node, ("metadata", "name"), Node(Scalar(name), _span(self.node)))
        return replace(self, node=node, names=(*self.names, self.name))


@dataclass(frozen=True)
class Selector:
    """Which objects a patch is for; an empty field matches all."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    group: str = ""
    version: str = ""
    labels: Mapping[str, str | None] = field(default_factory=dict)

    def matches(self, one: Resource) -> bool:
        """Whether it is for ``one``; names are regular expressions that match as a whole."""
        api = _text(one.node, "apiVersion")
        group, _, version = api.rpartition("/")
        return (
            _like(self.kind, one.kind)
            and any(_like(self.name, name) for name in (one.name, *one.names))
            and _like(self.namespace, _text(one.node, "metadata", "namespace"))
            and _like(self.group, group)
            and _like(self.version, version)
            and all(
                (one.labels().get(key) == value) if value is not None else key in one.labels()
                for key, value in self.labels.items()
            )
        )


def selector(target: Node) -> Selector:
    """The selector of a patch's target."""
    text = {name: _text(target, name) for name in ("kind", "name", "namespace", "group", "version")}
    labels: dict[str, str | None] = {}
    for part in _text(target, "labelSelector").split(","):
        key, sign, value = part.partition("=")
        if key.strip():
            labels[key.strip()] = value.lstrip("=").strip() if sign else None
    return Selector(**text, labels=labels)


def _like(pattern: str, text: str) -> bool:
    if not pattern:
        return True
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:
        return pattern == text


def put(node: Node, path: Sequence[str], value: Node) -> Node:
    """The tree with a field set; mappings on the way are made."""
    first, *rest = path
    child = node.map.get(first, Node({}, value.span))
    return replace(node, content={**node.map, first: put(child, rest, value) if rest else value})


def everywhere(node: Node, field: str, change: Callable[[Node], Node]) -> Node:
    """The tree with ``change`` made to each element of each list called ``field``."""
    if isinstance(node.content, Mapping):
        fields = {}
        for name, value in node.map.items():
            inner = everywhere(value, field, change)
            if name == field and isinstance(inner.content, Sequence) and not isinstance(inner.content, Scalar):
                inner = replace(inner, content=[change(one) for one in inner.items])
            fields[name] = inner
        return replace(node, content=fields)
    if isinstance(node.content, Sequence):
        return replace(node, content=[everywhere(one, field, change) for one in node.items])
    return node


def pod_templates(node: Node) -> Iterator[tuple[str, ...]]:
    """Paths of the pod templates in an object."""
    for path in (("spec", "template"), ("spec", "jobTemplate", "spec", "template")):
        if node.get(*path) is not None:
            yield path


def _text(node: Node, *path: str) -> str:
    found = node.get(*path)
    return found.text if found else ""


def _span(node: Node) -> Span | None:
    found = node.get("metadata", "name")
    return found.span if found else node.span
