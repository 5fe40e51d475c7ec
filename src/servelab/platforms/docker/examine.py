"""Is the Docker Engine fit to run engines?"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from servelab.platforms.docker.config import STUDY
from servelab.platforms.docker.connection import LOOK, START_IT, connected
from servelab.platforms.docker.options import DockerOptions
from servelab.spec.errors import MachineError
from servelab.spec.finding import Finding

OLDEST = (1, 41)  # of Docker 20.10: the first with DeviceRequests in all their forms
LOW_DISK = 30e9  # bytes: an image of vLLM or SGLang takes 10 to 20 GB
TOOLKIT = (
    "Install the NVIDIA Container Toolkit, then: nvidia-ctk runtime configure --runtime=docker; "
    "systemctl restart docker; try: docker run --rm --gpus all ubuntu nvidia-smi"
)


async def examine(options: DockerOptions, accelerators: int) -> list[Finding]:
    """Ask the engine for what studies need of it: the socket first, since nothing is known without it."""
    from aiodocker import DockerError

    try:
        async with connected(options.host) as docker:
            version, info = await docker.version(), await docker.system.info()
            running = await docker.containers.list(filters=f'{{"label": ["{STUDY}"]}}')
    except DockerError as error:
        return [Finding("docker socket", "problem", error.message, START_IT)]
    except MachineError as error:
        # What names this check is for those who did not begin with it.
        return [Finding("docker socket", "problem", error.message, START_IT if error.remedy == LOOK else error.remedy)]
    where = docker._connection_info
    return [
        Finding("docker socket", "ok", where),
        _version(version),
        _nvidia(info, accelerators),
        _disk(info),
        Finding("docker engines", "ok", f"{len(running)} containers of studies run"),
    ]


def _version(version: Mapping[str, Any]) -> Finding:
    api = str(version.get("ApiVersion", "0.0"))
    text = f"Docker {version.get('Version')}, API {api}"
    if tuple(int(part) for part in api.split(".")) < OLDEST:
        return Finding("docker version", "problem", f"{text}: too old", "Update Docker to 20.10 or newer.")
    return Finding("docker version", "ok", text)


def _nvidia(info: Mapping[str, Any], accelerators: int) -> Finding:
    runtimes = info.get("Runtimes") or {}
    devices = [device for device in info.get("DiscoveredDevices") or [] if "nvidia" in str(device).lower()]
    if "nvidia" in runtimes or devices:
        return Finding("docker nvidia", "ok", "the NVIDIA runtime is set up")
    text = "no NVIDIA runtime: containers see no GPU"
    return Finding("docker nvidia", "problem" if accelerators else "note", text, TOOLKIT)


def _disk(info: Mapping[str, Any]) -> Finding:
    root = Path(str(info.get("DockerRootDir", "/")))
    if not root.exists():  # of another mount namespace, as Docker Desktop's
        return Finding("docker disk", "note", f"cannot see {root} from here", "Look there: docker system df")
    free = shutil.disk_usage(root).free
    text = f"{free / 1e9:.0f} GB free at {root}"
    if free < LOW_DISK:
        return Finding(
            "docker disk",
            "problem",
            f"{text}: an engine's image takes 10 to 20 GB",
            "Free some space: docker system df, docker image prune; or move data-root in daemon.json.",
        )
    return Finding("docker disk", "ok", text)
