"""The log of a trial on a cluster: what its engine prints, and between, marked, what happens to its pod."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from pathlib import Path

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import EVENT, Manifest
from servelab.kube.logs import logs
from servelab.platforms.logfile import cap, open_log, tail
from servelab.platforms.ome.kinds import CONTAINER
from servelab.spec.errors import ClusterError

CAP_EVERY = 2000  # lines between looks at the file's size
LAST_WORDS = 5.0  # seconds for a log to end after its container has
PROBE = "Unhealthy"  # the reason of probes that fail: they do while an engine loads its model
TAIL = 2000  # lines of a container that has ended


class EngineLog:
    """Writes one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sink = open_log(path)
        self._following: asyncio.Task[None] | None = None
        self._seen: set[tuple[str, int]] = set()

    def note(self, text: str) -> None:
        """Write what servelab has to say."""
        self._write(f"[servelab] {text}")

    def follow(self, cluster: Cluster, pod: str) -> None:
        """Write what the engine in a pod prints, from now on; once."""
        if self._following is None:
            self._following = asyncio.ensure_future(self._follow(cluster, pod))

    async def finish(self, cluster: Cluster, pod: str, *, restarted: bool) -> None:
        """Write what the engine printed last before it ended."""
        if self._following is not None and not restarted:
            await asyncio.wait([self._following], timeout=LAST_WORDS)
            return
        with contextlib.suppress(ClusterError):
            async with aclosing(logs(cluster, pod, CONTAINER, tail=TAIL, previous=restarted)) as lines:
                async for line in lines:
                    self._write(line)

    async def events(self, cluster: Cluster, *names: str) -> str:
        """Write the events about objects that are new; the newest warning but of probes, or empty."""
        warning = ""
        for name in names:
            for event in (await cluster.list(EVENT, fields={"involvedObject.name": name})).items:
                key = (event["metadata"]["uid"], int(event.get("count") or 1))
                if key in self._seen:
                    continue
                self._seen.add(key)
                text = _told(event)
                self.note(text)
                if event.get("type") == "Warning" and event.get("reason") != PROBE:
                    warning = text
        return warning

    def tail(self, lines: int) -> str:
        """The last lines."""
        return tail(self.path, lines)

    async def close(self) -> None:
        """Write no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        self._sink.close()

    async def _follow(self, cluster: Cluster, pod: str) -> None:
        written = 0
        try:
            async with aclosing(logs(cluster, pod, CONTAINER, follow=True)) as lines:
                async for line in lines:
                    self._write(line)
                    written += 1
                    if written % CAP_EVERY == 0:
                        await asyncio.to_thread(cap, self.path)
        except ClusterError as error:
            self.note(f"the log breaks off here: {error.message}")

    def _write(self, line: str) -> None:
        self._sink.write(line.encode() + b"\n")
        self._sink.flush()


def _told(event: Manifest) -> str:
    what = event["involvedObject"]
    return f"{event.get('reason', '')} ({what.get('kind', '')} {what.get('name', '')}): {event.get('message', '')}"
