"""Read and follow what containers print."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx2

from servelab.kube.cluster import Cluster
from servelab.kube.errors import translated
from servelab.kube.kinds import POD
from servelab.kube.names import check_name
from servelab.kube.patience import Patience
from servelab.spec.errors import ClusterError

SILENCE = httpx2.Timeout(30.0, connect=10.0, read=None)  # seconds; a container may be silent for as long as it likes
PATIENCE = 300.0  # seconds that an API server may be away while its logs are followed

_Stamp = tuple[str, str]


async def logs(
    cluster: Cluster,
    pod: str,
    container: str = "",
    namespace: str = "",
    *,
    follow: bool = False,
    tail: int | None = None,
    previous: bool = False,
) -> AsyncGenerator[str]:
    """The lines of a container's log; ``follow``: until the container ends, through lost connections.

    ``tail``: only so many of the last lines. ``previous``: of the run before its restart.

    Raises:
        ClusterError: the server refuses, or is away for too long.
    """
    params = {"timestamps": "true", "follow": str(follow).lower(), "previous": str(previous).lower()}
    if container:
        params["container"] = check_name(container, "container")
    if tail is not None:
        params["tailLines"] = str(tail)
    path = f"{cluster.path(POD, namespace)}/{check_name(pod)}/log"
    seen = _Seen()
    trying = Patience(PATIENCE)
    while True:
        try:
            async with aclosing(_lines(cluster, path, params)) as lines:
                async for line in lines:
                    trying.succeeded()
                    stamp, _, text = line.partition(" ")
                    if seen.is_new(stamp):
                        yield text
            return
        except ClusterError as error:
            if not follow:
                raise
            await trying.wait(error)
            if seen.last is not None:
                params.pop("tailLines", None)
                params["sinceTime"] = f"{seen.last[0]}Z"
            seen.rewind()


class _Seen:
    """Tells lines that were read before a lost connection: the server repeats them from the last second on."""

    def __init__(self) -> None:
        self.last: _Stamp | None = None
        self._at_last = 0  # lines with the last time stamp
        self._to_skip = 0
        self._resumed: _Stamp | None = None

    def rewind(self) -> None:
        """The server starts over from the second of the last line."""
        self._resumed, self._to_skip = self.last, self._at_last

    def is_new(self, text: str) -> bool:
        stamp = _stamp(text)
        if self._resumed is not None and stamp < self._resumed:
            return False
        if self._to_skip and stamp == self._resumed:
            self._to_skip -= 1
            return False
        self._at_last = self._at_last + 1 if stamp == self.last else 1
        self.last = stamp
        return True


def _stamp(text: str) -> _Stamp:
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


async def _lines(cluster: Cluster, path: str, params: dict[str, str]) -> AsyncGenerator[str]:
    with translated(cluster.access.server):
        async with cluster.http.stream("GET", path, params=params, timeout=SILENCE) as response:
            if response.is_error:
                await response.aread()
                response.raise_for_status()
            async for line in response.aiter_lines():
                yield line
