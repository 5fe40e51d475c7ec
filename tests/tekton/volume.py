"""A real volume with a run's results, and an image with the programs that reading it takes."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import CLAIM, Kind
from servelab.kube.watch import wait_for
from tests.kubernetes import Scripted

VOLUME = Kind("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
IMAGE = "lab.local/tools:1"
APPLETS = ("sh", "sleep", "test", "find", "stat", "sha256sum", "tail", "tar", "cat", "echo", "mkdir")


def load_tools(api: Scripted, directory: Path) -> None:
    """Make and load the image: this machine's static busybox under its names."""
    busybox = shutil.which("busybox") or str(_of_image(api, directory))
    programs = directory / "bin"
    programs.mkdir()
    shutil.copy(busybox, programs / "busybox")
    for name in APPLETS:
        (programs / name).symlink_to("busybox")
    archive = directory / "tools.tar"
    api.make_image(archive, IMAGE, f"{programs}=bin")
    api.load_image(archive)


def _of_image(api: Scripted, directory: Path) -> Path:
    """The busybox of the image that the node brings."""
    unpacked = directory / "image"
    unpacked.mkdir()
    subprocess.run(["tar", "xf", api.folder / "img" / "bb.tar", "-C", unpacked], check=True)
    (layer,) = unpacked.glob("*/layer.tar")
    subprocess.run(["tar", "xf", layer, "-C", unpacked, "bin/busybox"], check=True)
    found = unpacked / "bin" / "busybox"
    if not found.exists():
        pytest.fail("the node's image has no busybox")
    return found


async def with_volume(cluster: Cluster, directory: Path, claim: str = "data-pvc") -> None:
    """A claim that is bound to a volume of this machine's directory."""
    name = f"{cluster.namespace}-{claim}"
    size = {"storage": "50Gi"}
    modes = ["ReadWriteMany"]
    volume = {
        "capacity": size,
        "accessModes": modes,
        "hostPath": {"path": str(directory)},
        "claimRef": {"namespace": cluster.namespace, "name": claim},
    }
    await cluster.create(VOLUME, {"metadata": {"name": name}, "spec": {**volume, "storageClassName": ""}})
    wanted = {"accessModes": modes, "resources": {"requests": size}, "volumeName": name, "storageClassName": ""}
    await cluster.create(CLAIM, {"metadata": {"name": claim}, "spec": wanted})
    async with asyncio.timeout(120):
        await wait_for(cluster, CLAIM, claim, lambda one: (one or {}).get("status", {}).get("phase") == "Bound")
