"""The container of an engine, as the Engine API's ContainerConfig and HostConfig want it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from servelab.catalog.containers import mounted
from servelab.platforms.docker.options import DockerOptions
from servelab.platforms.environment import AMD, passed_on, visible
from servelab.spec.deployment import Launch, Mark
from servelab.spec.errors import DeployError

STUDY, TRIAL, ATTEMPT, OWNER = "servelab.study", "servelab.trial", "servelab.attempt", "servelab.owner"
"""Labels: whose container it is, and the process that waits for it, as ``pid/start``."""

HF_HOME = "/root/.cache/huggingface"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CHOOSING = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
KFD, DRI = "/dev/kfd", "/dev/dri"


def container_config(
    launch: Launch, mark: Mark, owner: str, options: DockerOptions, cpus: tuple[int, ...]
) -> dict[str, Any]:
    """The body of ``POST /containers/create``: the program first, whatever entry point the image has.

    Raises:
        DeployError: a variable that the study names is not set, or one hides the devices.
    """
    program, arguments = _split(launch.command)
    arguments, mounts = mounted(arguments, positional=program[-1] == "serve")
    port = f"{launch.address.port}/tcp"
    binds = [{"Type": "bind", "Source": m.source, "Target": m.target, "ReadOnly": True} for m in mounts]
    return {
        "Image": launch.image,
        "Entrypoint": list(program),
        "Cmd": list(arguments),
        "Env": [f"{name}={value}" for name, value in _environment(launch, options).items()],
        "Labels": {
            STUDY: mark.study,
            TRIAL: str(mark.trial),
            ATTEMPT: str(mark.attempt),
            OWNER: owner,
        },
        "ExposedPorts": {port: {}},
        "HostConfig": {
            "PortBindings": {port: [{"HostIp": "127.0.0.1", "HostPort": str(launch.address.port)}]},
            "Mounts": binds + _cache(options),
            "ShmSize": round(options.shm_gb * 2**30),
            "CpusetCpus": ",".join(map(str, cpus)),
            "RestartPolicy": {"Name": "no"},
            "Init": True,  # reaps what the engine's workers leave
            **_devices(launch.devices),
        },
    }


def _split(command: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The program with what belongs to it (``python3 -m module``, ``vllm serve``), and its arguments."""
    length = 3 if command[1:2] == ("-m",) else 2 if command[1:2] == ("serve",) else 1
    return command[:length], command[length:]


def _environment(launch: Launch, options: DockerOptions) -> dict[str, str]:
    """Only what the study says, and the proxies: a container shares nothing else of this machine's environment.

    Which devices there are is not said here: with DeviceRequests, CUDA_VISIBLE_DEVICES would count the container's own.
    """
    cache = {"HF_HOME": HF_HOME} if options.cache else {}
    own = passed_on(launch)
    if launch.devices and (clash := [name for name in CHOOSING if name in own]):
        raise DeployError(
            f"the study sets {clash[0]}, which hides the devices that Docker gives to the container",
            "Leave it out of engine.environment; set it where servelab runs to say which devices it may lease.",
        )
    chosen = visible(launch.devices) if launch.devices and launch.devices[0].startswith(AMD) else {}
    return proxies(os.environ) | cache | chosen | own


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables in both spellings, with the loopback left out of them."""
    found = {name: environment.get(name) or environment.get(name.lower()) for name in PROXIES}
    set_ = {name: value for name, value in found.items() if value}
    if not set_:
        return {}
    spared = [host for host in set_.get("NO_PROXY", "").split(",") if host]
    set_["NO_PROXY"] = ",".join(dict.fromkeys([*spared, *LOOPBACK]))
    return set_ | {name.lower(): value for name, value in set_.items()}


def _cache(options: DockerOptions) -> list[dict[str, Any]]:
    if not options.cache:
        return []
    source = Path(options.cache).expanduser().absolute()
    source.mkdir(parents=True, exist_ok=True)  # or Docker refuses the mount
    return [{"Type": "bind", "Source": str(source), "Target": HF_HOME}]


def _devices(devices: tuple[str, ...]) -> dict[str, Any]:
    """NVIDIA's as ``--gpus device=...`` asks for them; AMD's as device files, all of them: see ``visible``."""
    if not devices:
        return {}
    if not devices[0].startswith(AMD):
        return {"DeviceRequests": [{"Driver": "", "DeviceIDs": list(devices), "Capabilities": [["gpu"]]}]}
    files = [{"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in (KFD, DRI)]
    return {"Devices": files, "GroupAdd": ["video"]}
