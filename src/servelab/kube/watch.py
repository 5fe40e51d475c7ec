"""Follow objects as they change, through lost connections and restarts of the API server."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

import httpx2
from lightkube.core.selector import build_selector

from servelab.kube.cluster import Cluster, Labels, check_selector
from servelab.kube.errors import GoneError, refused, translated
from servelab.kube.kinds import Kind, Manifest
from servelab.kube.names import check_name
from servelab.kube.patience import Patience
from servelab.spec.errors import ClusterError

ROUND = 300  # seconds after which the server ends a watch, and it is taken up again
SILENCE = httpx2.Timeout(30.0, connect=10.0, read=150.0)  # seconds; a bookmark comes about every minute
PATIENCE = 3600.0  # seconds that an API server may be away


@dataclass(frozen=True)
class Change:
    """What happened to an object; or, without one, to the watch.

    ``synced``: all that exists has been told. ``lost``: the connection is gone, ``error`` says why; it will be taken
    up again, and every change in between is told then.
    """

    type: Literal["added", "modified", "deleted", "synced", "lost"]
    object: Manifest = field(default_factory=dict)
    error: ClusterError | None = None


async def watch(
    cluster: Cluster,
    kind: Kind,
    namespace: str = "",
    labels: Labels | None = None,
    fields: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> AsyncGenerator[Change]:
    """All objects of a kind as they are and as they change, without end.

    Raises:
        ClusterError: the server refuses, or cannot be reached for ``patience`` seconds.
    """
    known: dict[str, Manifest] = {}
    version = ""
    trying = Patience(patience)
    while True:
        try:
            if not version:
                listing = await cluster.list(kind, namespace, labels, fields)
                for change in _differences(known, listing.items):
                    yield change
                known = {_key(item): item for item in listing.items}
                version = listing.version
                trying.succeeded()
                yield Change("synced")
            async with aclosing(_events(cluster, kind, namespace, labels, fields, version)) as events:
                async for name, item in events:
                    trying.succeeded()
                    version = item["metadata"]["resourceVersion"]
                    if name == "BOOKMARK":
                        continue
                    yield _remember(known, name, item)
        except GoneError:
            version = ""
        except ClusterError as error:
            yield Change("lost", error=error)
            await trying.wait(error)


async def wait_for(
    cluster: Cluster,
    kind: Kind,
    name: str,
    holds: Callable[[Manifest | None], bool],
    namespace: str = "",
    patience: float = PATIENCE,
) -> Manifest | None:
    """An object, as soon as ``holds`` is true of it; None stands for one that is not there.

    Waits for as long as it takes: put it into ``asyncio.timeout``.

    Raises:
        ClusterError: the server refuses, or cannot be reached for ``patience`` seconds.
    """
    found: Manifest | None = None
    fields = {"metadata.name": check_name(name)}
    async with aclosing(watch(cluster, kind, namespace, fields=fields, patience=patience)) as changes:
        async for change in changes:
            if change.type == "lost":
                continue
            if change.type != "synced":
                found = None if change.type == "deleted" else change.object
            if holds(found):
                return found
    raise AssertionError("a watch has no end")


def _differences(known: dict[str, Manifest], items: list[Manifest]) -> list[Change]:
    """What must have happened between what was known and what is."""
    present = {_key(item) for item in items}
    changes = [Change("deleted", item) for key, item in known.items() if key not in present]
    for item in items:
        before = known.get(_key(item))
        if before is None:
            changes.append(Change("added", item))
        elif before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            changes.append(Change("modified", item))
    return changes


def _remember(known: dict[str, Manifest], name: str, item: Manifest) -> Change:
    if name == "DELETED":
        known.pop(_key(item), None)
        return Change("deleted", item)
    change = Change("modified" if _key(item) in known else "added", item)
    known[_key(item)] = item
    return change


def _key(item: Manifest) -> str:
    return str(item["metadata"]["uid"])


async def _events(
    cluster: Cluster,
    kind: Kind,
    namespace: str,
    labels: Labels | None,
    fields: Mapping[str, str] | None,
    version: str,
) -> AsyncGenerator[tuple[str, Manifest]]:
    """One watch request: the server's events, BOOKMARK among them, until the server ends it."""
    selected = check_selector(labels)
    params = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(ROUND),
        **({"labelSelector": build_selector(dict(selected))} if selected else {}),
        **({"fieldSelector": build_selector(dict(fields), for_fields=True)} if fields else {}),
    }
    path = cluster.path(kind, namespace)
    with translated(cluster.access.server):
        async with cluster.http.stream("GET", path, params=params, timeout=SILENCE) as response:
            if response.is_error:
                await response.aread()
                response.raise_for_status()
            async for line in response.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise refused(event["object"])
                yield event["type"], event["object"]
