"""Run a command in a container."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from servelab.kube.channels import channels, receive
from servelab.kube.cluster import Cluster
from servelab.kube.errors import UnreachableError, refused
from servelab.kube.kinds import POD
from servelab.kube.names import check_name

STDOUT, STDERR, STATUS = 1, 2, 3
KEPT = 2**16  # bytes of standard error that are kept


@dataclass(frozen=True)
class Finished:
    """How a command ended. ``output`` is empty when it went to a sink."""

    code: int
    output: bytes
    errors: str


async def execute(
    cluster: Cluster,
    pod: str,
    command: Sequence[str],
    container: str = "",
    namespace: str = "",
    sink: Callable[[bytes], object] | None = None,
) -> Finished:
    """Run ``command`` (arguments, no shell) in a container, without input; its output goes to ``sink`` if there is one.

    Raises:
        RefusedError: the API server or the container's runtime refused it.
        UnreachableError: the connection was lost before the command ended.
    """
    chosen = [("container", check_name(container, "container"))] if container else []
    params = [*(("command", part) for part in command), ("stdout", "true"), ("stderr", "true"), *chosen]
    path = f"{cluster.path(POD, namespace)}/{check_name(pod)}/exec"
    output, errors = bytearray(), bytearray()
    take = sink or output.extend
    async with channels(cluster, path, params) as channel:
        while (message := await receive(channel)) is not None:
            number, data = message
            if number == STDOUT:
                take(data)
            elif number == STDERR:
                errors.extend(data[: max(0, KEPT - len(errors))])
            elif number == STATUS:
                return Finished(_exit_code(json.loads(data)), bytes(output), errors.decode(errors="replace"))
    raise UnreachableError(f"the connection to pod {pod} ended before its command did", "Try again.")


def _exit_code(status: dict[str, Any]) -> int:
    if status.get("status") == "Success":
        return 0
    if status.get("reason") != "NonZeroExitCode":
        raise refused(status)
    causes = status.get("details", {}).get("causes", [])
    return next((int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"), 1)
