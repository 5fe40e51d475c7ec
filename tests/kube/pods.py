"""Pods for tests, of the busybox image that the node brings."""

from __future__ import annotations

import asyncio

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import POD, Manifest

IMAGE = "lab.local/bb:1"


def pod(name: str, *command: str) -> Manifest:
    """A pod that runs one command."""
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "Never", "command": list(command)}
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def started(cluster: Cluster, name: str, *phases: str) -> None:
    """Wait until a pod runs, or is in one of ``phases``."""
    async with asyncio.timeout(240):
        while (await cluster.get(POD, name)).get("status", {}).get("phase") not in (phases or ("Running",)):
            await asyncio.sleep(0.2)
