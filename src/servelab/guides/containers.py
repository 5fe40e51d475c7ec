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
SAID_OF_PROBES = (
    "startupProbe.httpGet.path", "startupProbe.initialDelaySeconds", "startupProbe.failureThreshold",
    "readinessProbe.httpGet.path",
)  # fmt: skip
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
        "cpu": one("cpu"), "memory": one("memory"), "ephemeral_storage": one("ephemeral-storage"),
        "limits": {name: own for name in ("cpu", "memory") if limits and (own := limits.get(name))},
    }  # fmt: skip
    for level in (limits, requests):
        for name, value in level.map.items() if level else ():
            if is_accelerator(name):
                found |= {"accelerators": value, "accelerator_resource": name}
            elif is_network(name):
                found |= {"network": value, "network_resource": name}
    return found


def other_resources(container: Node, path: str) -> Iterator[tuple[str, Node]]:
    """What no variable says of a container's resources: limits that differ from requests, huge pages, claims, …"""
    taken = resources(container)
    said = {
        "cpu": taken["cpu"],
        "memory": taken["memory"],
        "ephemeral-storage": taken["ephemeral_storage"],
        taken.get("accelerator_resource", ""): taken.get("accelerators"),
        taken.get("network_resource", ""): taken.get("network"),
    }
    given = container.get("resources")
    for level, fields in given.map.items() if given else ():
        if level not in ("limits", "requests"):
            yield from fields.leaves(f"{path}.resources.{level}")
            continue
        for name, value in fields.map.items():
            own = said.get(name)
            if own is None or own.text != value.text:
                yield from value.leaves(f"{path}.resources.{level}.{name}")


def other_probes(container: Node, path: str) -> Iterator[tuple[str, Node]]:
    """What no variable says of a container's probes."""
    for name, probe in probes(container).items():
        for inner, value in probe.leaves(f"{path}.{name}"):
            if inner.removeprefix(f"{path}.") not in SAID_OF_PROBES:
                yield inner, value


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
