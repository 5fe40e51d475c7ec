"""The way to the Docker Engine, and what its errors mean."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from servelab.spec.errors import DeployError, MachineError

if TYPE_CHECKING:
    from aiodocker import Docker

UNREACHABLE = 900  # aiodocker's status for an engine that does not answer
LOCAL = ("localhost", "127.0.0.1", "::1")
START_IT = "Start it (systemctl start docker), let this user reach its socket (group docker), or set DOCKER_HOST."
THERE = "Run servelab there: engines listen on the loopback of the machine that runs them, where their GPUs are too."
CONTEXT = "See: docker context ls; then docker context use default, or set DOCKER_HOST to an engine of this machine."
LOOK = f"{START_IT} See: servelab doctor --platform docker; then: servelab resume"

Result = TypeVar("Result")


@asynccontextmanager
async def connected(host: str | None) -> AsyncIterator[Docker]:
    """A client of the engine.

    Raises:
        MachineError: it cannot be reached, or is another machine's.
    """
    client = await open_client(host)
    try:
        yield client
    except OSError as error:
        raise MachineError(f"the Docker Engine went away: {error}", LOOK) from error
    finally:
        await client.close()


async def open_client(host: str | None) -> Docker:
    """A client of the engine, to be closed.

    Raises:
        MachineError: there is no engine, or it is another machine's, whose loopback we cannot reach.
    """
    from aiodocker import Docker, DockerError
    from aiodocker.exceptions import DockerContextError

    named = host or os.environ.get("DOCKER_HOST") or None  # which docker puts before its context, unlike aiodocker
    if named:
        _require_local(named)
    try:
        client = Docker(url=named)
    except AssertionError as error:
        raise MachineError("there is no Docker Engine here: no DOCKER_HOST, and no socket", LOOK) from error
    except (ValueError, DockerContextError) as error:
        raise MachineError(f"docker's settings lead to no Docker Engine: {error}", CONTEXT) from error
    except DockerError as error:  # of its connection through ssh, which takes more than we install
        raise MachineError("the Docker Engine of docker's context is another machine's, behind ssh", THERE) from error
    try:
        _require_local(client._connection_info)
    except MachineError:
        await client.close()
        raise
    return client


def _require_local(address: str) -> None:
    try:
        scheme, machine = (parts := urlsplit(address)).scheme, parts.hostname
    except ValueError:  # of brackets that hold no address
        scheme, machine = "", None
    if scheme == "unix":
        return
    if scheme not in ("tcp", "http", "https", "ssh") or not machine:
        raise MachineError(
            f"{address.rpartition('@')[2]!r} is no address of a Docker Engine",
            "DOCKER_HOST, or platform.options.host, is like unix:///var/run/docker.sock or tcp://127.0.0.1:2375.",
        )
    if scheme == "ssh" or machine not in LOCAL:
        raise MachineError(
            f"the Docker Engine at {scheme}://{machine} is another machine's",
            THERE,
        )


def meaning(error: Exception, doing: str) -> DeployError:
    """What the engine's refusal means: the machine's fault, or the configuration's."""
    said = getattr(error, "message", str(error)).strip()
    status = getattr(error, "status", 0)
    if status == UNREACHABLE:
        return MachineError(f"the Docker Engine cannot be reached: {said}", LOOK)
    for word, remedy in _REMEDIES.items():
        if word in said.lower():
            return DeployError(f"Docker cannot {doing}: {said}", remedy)
    for word, remedy in _PASSING.items():
        if word in said.lower():
            return MachineError(f"Docker cannot {doing}: {said}", remedy)
    return DeployError(f"Docker cannot {doing} ({status}): {said}", "Try it by hand, with docker run.")


_REMEDIES = {
    "executable file not found": "The image has no such program: check engine.image and engine.executable.",
    "bind source path does not exist": "Check model.path: it must exist on the machine of the Docker Engine.",
}
_PASSING = {
    "could not select device driver": "Install the NVIDIA Container Toolkit: nvidia-ctk runtime configure "
    "--runtime=docker, then systemctl restart docker.",
    "nvidia-container-cli": "The NVIDIA driver and its container toolkit do not work together; try: "
    "docker run --rm --gpus all ubuntu nvidia-smi",
    "port is already allocated": "Another program took the port first; it is tried again on another.",
    "address already in use": "Another program took the port first; it is tried again on another.",
    "no space left on device": "Free some space where Docker keeps its files: docker system df, docker image prune.",
    "requested cpus are not available": "Name cores of the Docker Engine's in platform.options.cpus.",
    "permission denied": "Let this user reach Docker's socket (group docker).",
}


def at_once(work: Coroutine[Any, Any, Result]) -> Result:
    """Do asynchronous work to its end, whether or not an event loop runs here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
