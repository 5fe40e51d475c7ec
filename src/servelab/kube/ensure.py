"""Objects that must be there: created where they are missing, left as they are where not."""

from __future__ import annotations

from typing import Any

from servelab.kube.cluster import Cluster
from servelab.kube.errors import ConflictError, ForbiddenError
from servelab.kube.kinds import CLAIM, NAMESPACE, Kind, Manifest
from servelab.kube.labels import marked


async def ensure(cluster: Cluster, kind: Kind, manifest: Manifest) -> bool:
    """Create an object unless there is one of its name; whether it was created.

    Raises:
        ClusterError: the cluster refuses.
    """
    if await cluster.find(kind, manifest["metadata"]["name"], manifest["metadata"].get("namespace", "")) is not None:
        return False
    try:
        await cluster.create(kind, marked(manifest))
    except ConflictError:  # somebody was quicker
        return False
    return True


async def ensure_namespace(cluster: Cluster) -> bool:
    """Create the cluster's namespace unless it is there; one that may not be read is taken to exist.

    Raises:
        ClusterError: the cluster refuses.
    """
    try:
        return await ensure(cluster, NAMESPACE, {"metadata": {"name": cluster.namespace}})
    except ForbiddenError:
        return False


async def ensure_claim(cluster: Cluster, name: str, size: str, storage_class: str = "") -> bool:
    """Create a PersistentVolumeClaim for one node at a time, unless it is there.

    Raises:
        ClusterError: the cluster refuses.
    """
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return await ensure(cluster, CLAIM, {"metadata": {"name": name}, "spec": spec})
