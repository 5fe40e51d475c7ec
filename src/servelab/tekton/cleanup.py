"""Remove what runs left in a namespace: by our labels, of every kind that the cluster has, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from servelab.kube.cluster import Cluster
from servelab.kube.errors import ForbiddenError, MissingError, RefusedError
from servelab.kube.kinds import Kind, Manifest
from servelab.kube.labels import MANAGED, OURS, STUDY, label
from servelab.spec.errors import ClusterError
from servelab.tekton.kinds import GROUP, PIPELINE_RUN, TASK_RUN
from servelab.tekton.labels import PIPELINE_RUN_LABEL
from servelab.tekton.status import FINAL, run_state

PATIENCE = 60.0  # seconds for what was deleted to be gone
PAUSE = 0.5  # seconds between looks

_METHOD_NOT_ALLOWED = 405


@dataclass(frozen=True)
class Removed:
    """An object that was deleted."""

    kind: str
    name: str


async def remove_run(cluster: Cluster, name: str) -> list[Removed]:
    """Delete a run that has ended and everything with its label; when no other run of ours is left, our Tasks as well.

    Raises:
        ClusterError: it still runs, or something does not go away.
    """
    run = await cluster.find(PIPELINE_RUN, name)
    if run is not None and run_state(run) not in FINAL:
        raise ClusterError(f"run {name} has not ended", f"Cancel it first: servelab tekton cancel {name}")
    study = (label(run, STUDY) if run else "") or name
    removed = await _remove(cluster, {STUDY: study}, first=PIPELINE_RUN)
    for task_run in (await cluster.list(TASK_RUN, labels={PIPELINE_RUN_LABEL: name})).items:
        removed += await _delete(cluster, TASK_RUN, [task_run])
    others = (await cluster.list(PIPELINE_RUN, labels={MANAGED: OURS})).items
    if all(other["metadata"].get("deletionTimestamp") or other["metadata"]["name"] == name for other in others):
        removed += await _remove(cluster, {MANAGED: OURS}, first=PIPELINE_RUN)
    return removed


async def remaining(cluster: Cluster, labels: Mapping[str, str | None]) -> list[tuple[Kind, Manifest]]:
    """Everything in the namespace with these labels.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    kinds = [kind async for kind in _kinds(cluster)]
    found = await asyncio.gather(*(_listed(cluster, kind, labels) for kind in kinds))
    # The same object is served under several groups and versions.
    unique = {item["metadata"]["uid"]: (kind, item) for kind, items in zip(kinds, found, strict=True) for item in items}
    return list(unique.values())


async def _remove(cluster: Cluster, labels: Mapping[str, str | None], first: Kind) -> list[Removed]:
    """Delete runs before what they would make again; then wait until all are gone."""
    removed = await _delete(cluster, first, (await cluster.list(first, labels=labels)).items)
    try:
        async with asyncio.timeout(PATIENCE):
            while left := await remaining(cluster, labels):
                for kind, item in left:
                    if not item["metadata"].get("deletionTimestamp"):
                        removed += await _delete(cluster, kind, [item])
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        names = ", ".join(f"{kind.name} {item['metadata']['name']}" for kind, item in left[:5])
        raise ClusterError(
            f"{len(left)} objects do not go away: {names}",
            "Look at their finalizers, and run the same command again: it goes on from here.",
        ) from None
    return removed


async def _delete(cluster: Cluster, kind: Kind, items: list[Manifest]) -> list[Removed]:
    deleted = []
    for item in items:
        if await cluster.delete(kind, item["metadata"]["name"], item["metadata"]["namespace"]):
            deleted.append(Removed(kind.name, item["metadata"]["name"]))
    return deleted


async def _kinds(cluster: Cluster) -> AsyncIterator[Kind]:
    """Every kind of namespaced objects of the cluster, each in one version; events are not ours."""
    groups = (await cluster.read("apis"))["groups"]
    versions = [
        "v1",
        *(group["preferredVersion"]["groupVersion"] for group in groups),
        f"{GROUP}/v1",
        f"{GROUP}/v1beta1",
    ]
    seen = set()
    for version in dict.fromkeys(versions):
        try:
            kinds = await cluster.kinds(version)
        except RefusedError:
            continue  # an extension of the API server that is out of order
        for kind in kinds.values():
            if kind.namespaced and kind.name != "Event" and (kind.group, kind.name) not in seen:
                seen.add((kind.group, kind.name))
                yield kind


async def _listed(cluster: Cluster, kind: Kind, labels: Mapping[str, str | None]) -> list[Manifest]:
    try:
        return (await cluster.list(kind, labels=labels)).items
    except (ForbiddenError, MissingError):
        return []  # what we may not see we have not made
    except RefusedError as error:
        if error.code == _METHOD_NOT_ALLOWED:
            return []  # reviews can only be created
        raise
