"""Room for a pod in a cluster."""

from __future__ import annotations

from collections.abc import Iterable

from servelab.kube.cluster import Cluster
from servelab.kube.errors import ForbiddenError
from servelab.kube.kinds import NODE, Manifest
from servelab.platforms.base import DiagnosedError
from servelab.spec.deployment import Failure
from servelab.spec.errors import MachineError

PLUGIN = (
    "If they have accelerators: is the device plugin running (kubectl get pods -A | grep device-plugin)? Minikube with "
    "its docker driver cannot pass GPUs on; minikube --driver=none, kind, k3s or a real cluster can."
)


async def remedy_without_node(cluster: Cluster, needed: int, resource: str, text: str) -> Exception:
    """The error for a pod that no node takes: of the trial when none ever could, else of the cluster for now.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    try:
        most = max_allocatable((await cluster.list(NODE)).items, resource)
    except ForbiddenError:
        most = None
    if most is not None and needed > most:
        return DiagnosedError(
            Failure(
                kind="unsupported",
                stage="ready",
                message=f"{needed} {resource} are needed on one node, and no node has more than {most}",
                remedy=f"Ask for fewer (tensor parallelism, engine.resources.accelerators). {PLUGIN}",
                evidence=text,
            )
        )
    remedy = "Wait for room or free some (kubectl describe node tells what runs where); then: servelab resume"
    return MachineError(text, remedy)


def max_allocatable(nodes: Iterable[Manifest], resource: str) -> int:
    """The most of a resource that one node gives to pods."""
    return max((int((node.get("status", {}).get("allocatable") or {}).get(resource, 0)) for node in nodes), default=0)
