"""Accelerators of a cluster: what its nodes have, less what pods hold, within what a quota leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from servelab.kube.cluster import EVERYWHERE, Cluster
from servelab.kube.kinds import NODE, POD, QUOTA, Manifest

ENDED = ("Succeeded", "Failed")

_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "gpu.intel.com/i915", "google.com/tpu")


@dataclass(frozen=True)
class Node:
    """A node's accelerators: of which product, how many a pod may have, and how many pods hold."""

    name: str
    product: str
    allocatable: int
    used: int

    @property
    def free(self) -> int:
        """How many another pod could have."""
        return max(0, self.allocatable - self.used)


def resource_of(label: str) -> str:
    """The name of the resource whose product a node label tells, as ``nvidia.com/gpu``."""
    maker = label.partition("/")[0]
    return next((name for name in _RESOURCES if name.startswith(f"{maker}/")), _RESOURCES[0])


async def accelerator_nodes(cluster: Cluster, label: str, products: Sequence[str]) -> list[Node]:
    """The ready nodes with one of ``products`` (empty: any) and their accelerators.

    Raises:
        ClusterError: nodes or pods may not be listed.
    """
    resource = resource_of(label)
    listed = (await cluster.list(NODE, labels={label: None})).items
    fitting = [node for node in listed if _takes_pods(node) and (not products or _label(node, label) in products)]
    used = await asyncio.gather(*(_used(cluster, node["metadata"]["name"], resource) for node in fitting))
    return [
        Node(node["metadata"]["name"], _label(node, label), _count(node["status"].get("allocatable"), resource), count)
        for node, count in zip(fitting, used, strict=True)
    ]


async def quota_left(cluster: Cluster, resource: str) -> tuple[str, int] | None:
    """The tightest ResourceQuota on a resource in the namespace, and how much it leaves; None without one.

    Raises:
        ClusterError: quotas may not be listed.
    """
    found: list[tuple[int, str]] = []
    for quota in (await cluster.list(QUOTA)).items:
        status = quota.get("status") or {}
        for name in (f"requests.{resource}", f"limits.{resource}"):
            hard = (status.get("hard") or (quota.get("spec") or {}).get("hard") or {}).get(name)
            if hard is not None:
                found.append((int(hard) - _count(status.get("used"), name), quota["metadata"]["name"]))
    if not found:
        return None
    left, name = min(found)
    return name, left


def _takes_pods(node: Manifest) -> bool:
    ready = any(
        one["type"] == "Ready" and one["status"] == "True" for one in node.get("status", {}).get("conditions") or []
    )
    return ready and not node.get("spec", {}).get("unschedulable")


async def _used(cluster: Cluster, node: str, resource: str) -> int:
    held = await cluster.list(POD, EVERYWHERE, fields={"spec.nodeName": node})
    return sum(_held(pod["spec"], resource) for pod in held.items if pod["status"].get("phase") not in ENDED)


def _held(spec: dict[str, Any], resource: str) -> int:
    """A pod holds what its containers have together, or the largest of its init containers if that is more."""
    together = sum(_limit(container, resource) for container in spec.get("containers") or [])
    return max([together, *(_limit(container, resource) for container in spec.get("initContainers") or [])])


def _limit(container: dict[str, Any], resource: str) -> int:
    return _count((container.get("resources") or {}).get("limits"), resource)


def _count(amounts: dict[str, Any] | None, name: str) -> int:
    return int((amounts or {}).get(name, 0))


def _label(node: Manifest, label: str) -> str:
    return str(node["metadata"].get("labels", {}).get(label, ""))
