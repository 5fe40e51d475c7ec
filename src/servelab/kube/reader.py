"""A short-lived pod that reads a volume."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from servelab.kube.cluster import Cluster
from servelab.kube.containers import HOPELESS, doing
from servelab.kube.copy import Place
from servelab.kube.kinds import POD, Manifest
from servelab.kube.labels import marked
from servelab.kube.watch import wait_for, watch
from servelab.spec.errors import ClusterError

IMAGE = "busybox:1.37"
MOUNT = "/data"
CONTAINER = "reader"
LIFETIME = 3600  # seconds after which Kubernetes ends it, should we be gone
START = 180.0  # seconds until it runs
GRACE = 1  # seconds that it has to end; with 0 its name would be free before its node has ended it
GOING = 120.0  # seconds until its node has ended it


@dataclass(frozen=True)
class Volume:
    """A claim whose files are read by a pod of ``image``."""

    claim: str
    image: str = IMAGE


def reader_manifest(name: str, study: str, volume: Volume) -> Manifest:
    """The pod: it sleeps, may change nothing, and fits the restricted pod security standard but for its user.

    The user is the image's own, since files on the volume may be readable by their owner alone.
    """
    container = {
        "name": CONTAINER,
        "image": volume.image,
        "command": ["sleep", str(LIFETIME)],
        "volumeMounts": [{"name": "data", "mountPath": MOUNT, "readOnly": True}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    source = {"claimName": volume.claim, "readOnly": True}
    spec = {
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": source}],
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFETIME,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
    }
    return marked({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}, study)


@asynccontextmanager
async def reader(
    cluster: Cluster, study: str, volume: Volume, name: str = "", owner: Manifest | None = None
) -> AsyncIterator[Place]:
    """The root of a volume, readable for as long as the context lasts.

    ``name`` is the pod's; default: the study's. With ``owner`` (a reference) it goes when that object goes.

    Raises:
        ClusterError: the pod does not start; with the reason.
    """
    name = name or f"{study}-reader"
    await _removed(cluster, name)  # of a collection that was killed
    manifest = reader_manifest(name, study, volume)
    if owner is not None:
        manifest["metadata"]["ownerReferences"] = [owner]
    await cluster.apply(manifest)
    try:
        await _started(cluster, name)
        yield Place(cluster, name, CONTAINER, MOUNT)
    finally:
        await cluster.delete(POD, name, grace=GRACE)


async def _removed(cluster: Cluster, name: str) -> None:
    """Remove a pod of the same name, and wait for its node: while it ends it, commands may reach either of both."""
    if not await cluster.delete(POD, name, grace=GRACE):
        return
    try:
        async with asyncio.timeout(GOING):
            await wait_for(cluster, POD, name, lambda pod: pod is None)
    except TimeoutError:
        await cluster.delete(POD, name, grace=0)  # its node is away


async def _started(cluster: Cluster, name: str) -> None:
    waits = "it is not scheduled"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START), aclosing(watch(cluster, POD, fields={"metadata.name": name})) as changes:
            async for change in changes:
                phase = (change.object.get("status") or {}).get("phase")
                if phase == "Running":
                    return
                waits = doing(change.object) or waits
                if phase in ("Failed", "Succeeded") or any(reason in waits for reason in HOPELESS):
                    break
    raise ClusterError(
        f"the pod that reads the volume does not start: {waits}",
        "Is the claim bound, and free to be mounted? Another image can be named (--image, or the option reader_image): "
        "one with sleep, find, stat, sha256sum, tail and tar.",
    )
