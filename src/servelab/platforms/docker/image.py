"""The image of an engine: there, or pulled with progress."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import aiohttp

from servelab.platforms.base import DiagnosedError, Tell
from servelab.platforms.docker.connection import UNREACHABLE, meaning
from servelab.platforms.docker.options import DockerOptions
from servelab.spec.deployment import Failure

if TYPE_CHECKING:
    from aiodocker import Docker

SILENCE = 300.0  # seconds without a word, after which a pull has failed
TELL_EVERY = 5.0  # seconds
ABSENT = 404
_STALLED = "the pull broke off, or nothing came for minutes"
_REFUSED = ("not found", "manifest unknown", "denied", "unauthorized", "does not exist", "invalid reference")


async def have_image(docker: Docker, image: str, options: DockerOptions, tell: Tell) -> None:
    """Return when the image is there.

    Raises:
        DiagnosedError: it cannot be had; transient when the network may be why.
        MachineError: the engine cannot be reached.
    """
    from aiodocker import DockerError

    if options.pull != "always" and await _is_here(docker, image):
        return
    if options.pull == "never":
        raise _failed(image, "it is not on this machine, and platform.options.pull is never", refused=True)
    tell(f"pulling {image}")
    progress = PullProgress()
    told = time.monotonic()
    try:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE)
        async for event in docker.images.pull(image, stream=True, timeout=timeout):  # type: ignore[call-overload]
            progress.add(event)
            if time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                tell(f"pulling {image}: {progress}")
    except DockerError as error:
        if error.status == UNREACHABLE:
            raise meaning(error, f"pull {image}") from error
        raise _failed(image, error.message, any(word in error.message.lower() for word in _REFUSED)) from error
    except (TimeoutError, aiohttp.ClientError) as error:
        raise _failed(image, str(error) or _STALLED, refused=False) from error
    # A stream that breaks off ends like one that is complete.
    if not await _is_here(docker, image):
        raise _failed(image, _STALLED, refused=False)


async def _is_here(docker: Docker, image: str) -> bool:
    from aiodocker import DockerError

    try:
        await docker.images.inspect(image)
    except DockerError as error:
        if error.status == ABSENT:
            return False
        raise meaning(error, f"look at {image}") from error
    return True


def _failed(image: str, why: str, refused: bool) -> DiagnosedError:
    remedy = (
        "Check engine.image (name and tag), and docker login where it is private; try: docker pull " + image
        if refused
        else "Check the way to the registry: dockerd has proxy settings of its own."
    )
    return DiagnosedError(
        Failure(
            kind="image_pull",
            stage="launch",
            message=f"the image {image} cannot be pulled: {why.strip()}",
            remedy=remedy,
            transient=not refused,
        )
    )


class PullProgress:
    """How far a pull is, from its stream of events; layers come to be known one by one."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """Take note of an event of ``POST /images/create``."""
        detail, layer = event.get("progressDetail") or {}, str(event.get("id", ""))
        if event.get("status") == "Downloading" and detail.get("total"):
            self._layers[layer] = (detail.get("current", 0), detail["total"])
        elif event.get("status") == "Download complete" and layer in self._layers:
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)

    def __str__(self) -> str:
        done = sum(current for current, _ in self._layers.values())
        total = sum(total for _, total in self._layers.values())
        return f"{done / 1e9:.2f} of {total / 1e9:.2f} GB" if total else "waiting for the registry"
