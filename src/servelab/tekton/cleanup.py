"""Remove what runs left in a namespace: by our labels, of every kind that the cluster has, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from servelab.kube.cluster import Cluster
from servelab.kube.errors import ForbiddenError, MissingError, RefusedError
from servelab.kube.kinds import SECRET, Kind, Manifest
from servelab.kube.labels import MANAGED, OURS, STUDY, label
from servelab.spec.errors import ClusterError, NotFoundError
from servelab.tekton.board import Board
from servelab.tekton.kinds import GROUP, PIPELINE_RUN, STEP_ACTION, TASK, TASK_RUN
from servelab.tekton.labels import PIPELINE_RUN_LABEL
from servelab.tekton.status import FINAL, run_state

PATIENCE = 60.0  # seconds for what was deleted to be gone
PAUSE = 0.5  # seconds between looks

COLLECTOR = "servelab/collector"  # label of a treatment's OpenTelemetry collector
RELEASE = "meta.helm.sh/release-name"  # annotation of everything in a Helm release
RELEASE_ENDING = "-model"  # of the releases that deploy-model makes

Found = list[tuple[Kind, Manifest]]

_METHOD_NOT_ALLOWED = 405


@dataclass(frozen=True)
class Removed:
    """An object that was deleted."""

    kind: str
    name: str


async def remove_run(cluster: Cluster, name: str) -> list[Removed]:
    """Delete a run that has ended and everything of it; when no other run of ours is left, our Tasks as well.

    Of it are: what carries its label, its TaskRuns, and its engines with their collectors where final tasks have not
    removed them.

    Raises:
        NotFoundError: there is no such run, and nothing of one.
        ClusterError: it still runs, or something does not go away.
    """
    run = await cluster.find(PIPELINE_RUN, name)
    if run is not None and run_state(run) not in FINAL:
        remedy = f"Cancel it first: servelab tekton cancel {name} -n {cluster.namespace}"
        raise ClusterError(f"run {name} has not ended", remedy)
    board = Board(name, run)

    async def of_run() -> Found:
        runs = (await cluster.list(TASK_RUN, labels={PIPELINE_RUN_LABEL: name})).items
        labelled = await remaining(cluster, {STUDY: board.study})
        return [*labelled, *((TASK_RUN, one) for one in runs), *await _engines(cluster, board)]

    if run is None and not await of_run():
        raise NotFoundError(
            f"there is no run {name} in {cluster.namespace}, and nothing of one",
            f"See which there are: servelab tekton status -n {cluster.namespace}",
        )
    others = (await cluster.list(PIPELINE_RUN, labels={MANAGED: OURS})).items
    last = all(other["metadata"].get("deletionTimestamp") or other["metadata"]["name"] == name for other in others)
    # The run goes after what it shared: while it is there, a clean-up that was killed can be called again.
    shared = await _remove(cluster, lambda: _definitions(cluster)) if last else []
    return [*shared, *await _remove(cluster, of_run)]


async def _definitions(cluster: Cluster) -> Found:
    """Our StepActions and Tasks, which all runs share. What else is ours in the namespace belongs to other studies."""
    return [(kind, item) for kind in (TASK, STEP_ACTION) for item in await _listed(cluster, kind, {MANAGED: OURS})]


async def _engines(cluster: Cluster, board: Board) -> Found:
    """What the treatments' Helm releases and collectors left. Helm marks every object with its release."""
    treatments = {f"{board.study}-{trial}" for trial in board.trials}
    releases = {f"{treatment}{RELEASE_ENDING}" for treatment in treatments}
    if not treatments:
        return []
    collectors = [
        (kind, item)
        for kind, item in await remaining(cluster, {COLLECTOR: None})
        if label(item, COLLECTOR) in treatments
    ]
    records = (await cluster.list(SECRET, labels={"owner": "helm"})).items
    known = [(SECRET, item) for item in records if label(item, "name") in releases]
    if not known:
        return collectors
    charted = await remaining(cluster, {MANAGED: "Helm"})
    parts = [(kind, item) for kind, item in charted if _annotation(item, RELEASE) in releases]
    return [*collectors, *(parts or known)]  # the record of a release goes last: by it the rest is found


def _annotation(item: Manifest, name: str) -> str:
    return str((item["metadata"].get("annotations") or {}).get(name, ""))


async def remaining(cluster: Cluster, labels: Mapping[str, str | None]) -> Found:
    """Everything in the namespace with these labels.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    kinds = [kind async for kind in _kinds(cluster)]
    found = await asyncio.gather(*(_listed(cluster, kind, labels) for kind in kinds))
    # The same object is served under several groups and versions.
    unique = {item["metadata"]["uid"]: (kind, item) for kind, items in zip(kinds, found, strict=True) for item in items}
    return list(unique.values())


async def _remove(cluster: Cluster, find: Callable[[], Awaitable[Found]]) -> list[Removed]:
    """Delete what is found, runs before what they would make again, until nothing is found any more."""
    removed: list[Removed] = []
    left: Found = []
    try:
        async with asyncio.timeout(PATIENCE):
            while left := await find():
                for kind, item in sorted(left, key=lambda one: one[0] != PIPELINE_RUN):
                    if not item["metadata"].get("deletionTimestamp"):
                        removed += await _delete(cluster, kind, item)
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        names = ", ".join(f"{kind.name} {item['metadata']['name']}" for kind, item in left[:5])
        raise ClusterError(
            f"{len(left)} objects do not go away: {names}",
            "Look at their finalizers, and run the same command again: it goes on from here.",
        ) from None
    return removed


async def _delete(cluster: Cluster, kind: Kind, item: Manifest) -> list[Removed]:
    name = item["metadata"]["name"]
    return [Removed(kind.name, name)] if await cluster.delete(kind, name, item["metadata"]["namespace"]) else []


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
