"""What both Helm values and manifests say of a container and its pod."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from servelab.guides.tree import Node

_ACCELERATOR = re.compile(
    r"(^|[./])(gpu|tpu|gaudi|npu|neuron\w*)$|^gpu\.intel\.com/|^amd\.com/|^habana\.ai/|^google\.com/tpu"
)
_PLAIN = ("cpu", "memory", "ephemeral-storage", "storage")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def is_accelerator(resource: str) -> bool:
    """Whether a resource's name is one of an accelerator."""
    return _ACCELERATOR.search(resource) is not None


def is_network(resource: str) -> bool:
    """Whether a resource's name is one of a network device."""
    return resource not in _PLAIN and not is_accelerator(resource) and not resource.startswith("hugepages-")


def resources(container: Node) -> dict[str, Any]:
    """The fields of a Stage that a container's resources make; requests count before limits."""
    requests, limits = container.get("resources", "requests"), container.get("resources", "limits")

    def one(name: str) -> Node | None:
        return next((found for level in (requests, limits) if level and (found := level.get(name))), None)

    found: dict[str, Any] = {
        "cpu": one("cpu"), "memory": one("memory"), "ephemeral_storage": one("ephemeral-storage")
    }  # fmt: skip
    for level in (limits, requests):
        for name, value in level.map.items() if level else ():
            if is_accelerator(name):
                found |= {"accelerators": value, "accelerator_resource": name}
            elif is_network(name):
                found |= {"network": value, "network_resource": name}
    return found


def other_resources(container: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Limits that differ from what is requested, which no variable can say, and huge pages."""
    requests, limits = container.get("resources", "requests"), container.get("resources", "limits")
    for name, value in limits.map.items() if limits else ():
        asked = requests.map.get(name) if requests else None
        if name in _PLAIN and asked is not None and asked.text != value.text:
            yield f"{path}.resources.limits.{name}", value
    for level, fields in (("limits", limits), ("requests", requests)):
        for name, value in fields.map.items() if fields else ():
            if name.startswith("hugepages-"):
                yield f"{path}.resources.{level}.{name}", value


def probes(container: Node) -> Mapping[str, Node]:
    """The probes of a container."""
    return {name: container.map[name] for name in PROBES if name in container.map and not container.map[name].null}


def elements(node: Node | None, *path: str) -> tuple[Node, ...]:
    """The elements of a list at a path; none where there is no list."""
    found = node.get(*path) if node else None
    return tuple(found.items) if found else ()


def named(nodes: tuple[Node, ...], *names: str) -> Node | None:
    """The first element with one of these names, or else the first of all."""
    by_name = {one.map["name"].text: one for one in nodes if "name" in one.map}
    return next((by_name[name] for name in names if name in by_name), nodes[0] if nodes else None)
