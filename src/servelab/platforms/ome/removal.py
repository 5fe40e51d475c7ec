"""Remove a trial's service, and wait until it holds nothing any more."""

from __future__ import annotations

import asyncio
import time

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import POD, Manifest
from servelab.kube.patience import Patience
from servelab.platforms.ome.kinds import INFERENCE_SERVICE
from servelab.platforms.ome.service import object_name, selector
from servelab.spec.deployment import Mark
from servelab.spec.errors import ClusterError

LOOK = 0.3  # seconds between looks at what goes away
AWAY = 120.0  # seconds that the API server may be away


async def remove_service(cluster: Cluster, mark: Mark, *, grace: float, patience: float) -> None:
    """Delete a trial's InferenceService; return when its pods are gone, by force after ``grace`` seconds.

    Raises:
        ClusterError: they are not gone ``patience`` seconds later, or the cluster is away for too long.
    """
    trying = Patience(AWAY)
    begun = time.monotonic()
    forced = False
    while True:
        try:
            left = await _delete(cluster, mark)
            if not left:
                return
            elapsed = time.monotonic() - begun
            if elapsed > grace + patience:
                break
            if elapsed > grace and not forced:
                for pod in left:
                    await cluster.delete(POD, pod["metadata"]["name"], grace=0)
                forced = True
            trying.succeeded()
        except ClusterError as error:
            await trying.wait(error)
        await asyncio.sleep(LOOK)
    names = ", ".join(pod["metadata"]["name"] for pod in left[:5])
    raise ClusterError(
        f"pods of trial {mark.trial} of {mark.study} do not go away: {names}",
        f"They may still hold accelerators: kubectl describe pod {left[0]['metadata']['name']} -n {cluster.namespace}",
    )


async def _delete(cluster: Cluster, mark: Mark) -> list[Manifest]:
    """Delete the service if it is there; the pods that are left, and as one of them the service while it is."""
    service = await cluster.find(INFERENCE_SERVICE, object_name(mark))
    if service is not None and not service["metadata"].get("deletionTimestamp"):
        await cluster.delete(INFERENCE_SERVICE, object_name(mark))
    pods = (await cluster.list(POD, labels=selector(mark))).items
    return pods or ([service] if service is not None else [])
