"""What a cluster knows about a failure: states of pods, events, conditions and the ends of logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from servelab.kube.cluster import Cluster
from servelab.kube.containers import container_statuses
from servelab.kube.kinds import EVENT, POD, Manifest
from servelab.kube.labels import TRIAL, WHOLE, label
from servelab.kube.logs import logs
from servelab.spec.errors import ClusterError
from servelab.tekton.board import Board
from servelab.tekton.pods import MODEL, engine_pods
from servelab.tekton.status import RunStatus, TaskStatus

LOG_LINES = 400
ENGINES_WHEN = ("deploy", "run-workload", "workload", "wait")
"""Tasks by the beginning of their names that may fail because of an engine; the others' failures are their own."""

Where = Literal["waiting", "terminated", "pod", "event", "condition", "log"]


@dataclass(frozen=True)
class Evidence:
    """Something that was seen; ``code`` is an exit code."""

    where: Where
    subject: str
    reason: str
    text: str
    code: int | None = None


async def gather(cluster: Cluster, board: Board, status: RunStatus) -> tuple[TaskStatus | None, list[Evidence]]:
    """The task that failed first, if one did, and all that is to be seen around it: engines before the task's own pod.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    found = [Evidence("condition", status.name, status.reason, status.message)] if status.final else []
    failed = min(status.failed, key=lambda task: task.finished or 0.0, default=None)
    if failed is None:
        return None, found
    condition = Evidence("condition", failed.task, failed.reason, f"{failed.task}: {failed.message}")
    pods: list[Manifest] = []
    if failed.task.startswith(ENGINES_WHEN):
        engines = await engine_pods(cluster, board.study, board.trials)
        pods += [pod for pod in engines if _of_trial(pod, failed.trial, board.study)]
    own = await cluster.find(POD, failed.pod) if failed.pod else None
    pods += [own] if own else []
    for pod in pods:
        found += _states(pod)
        found += await _events(cluster, pod["metadata"]["name"])
        async for one in _logs(cluster, pod):
            found.append(one)
    found += await _events(cluster, failed.run)
    return failed, [*found, condition]


def _of_trial(pod: Manifest, trial: str, study: str) -> bool:
    """Whether a pod serves the failed task's treatment; without knowing better, every pod of the study does."""
    if not trial or trial == WHOLE:
        return True
    return trial in (label(pod, TRIAL), label(pod, MODEL).removeprefix(f"{study}-"))


def _states(pod: Manifest) -> Iterable[Evidence]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    if status.get("reason"):
        yield Evidence("pod", name, status["reason"], status.get("message", ""))
    for condition in status.get("conditions") or []:
        if condition.get("status") == "False" and condition.get("reason") == "Unschedulable":
            yield Evidence("pod", name, "Unschedulable", condition.get("message", ""))
    for container in container_statuses(pod):
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            waiting, terminated = state.get("waiting"), state.get("terminated")
            if waiting:
                yield Evidence(
                    "waiting", f"{name}/{container['name']}", waiting.get("reason", ""), waiting.get("message", "")
                )
            if terminated and terminated.get("exitCode"):
                text = terminated.get("message", "")
                code = terminated["exitCode"]
                yield Evidence("terminated", f"{name}/{container['name']}", terminated.get("reason", ""), text, code)


async def _events(cluster: Cluster, name: str) -> list[Evidence]:
    """The warnings about an object, and about what it could not create."""
    events = (await cluster.list(EVENT, fields={"involvedObject.name": name, "type": "Warning"})).items
    return [Evidence("event", name, event.get("reason", ""), event.get("message", "")) for event in events]


async def _logs(cluster: Cluster, pod: Manifest) -> AsyncIterator[Evidence]:
    """The ends of the logs of containers that ended badly, restarted, or run; the previous run's before this one's."""
    name = pod["metadata"]["name"]
    for container in container_statuses(pod):
        terminated = (container.get("state") or {}).get("terminated") or {}
        if terminated and not terminated.get("exitCode"):
            continue
        last = (container.get("lastState") or {}).get("terminated") or {}
        for previous in (True, False) if container.get("restartCount") else (False,):
            text = await _tail(cluster, name, container["name"], previous=previous)
            code = (last if previous else terminated).get("exitCode")
            if text or code is not None:
                yield Evidence("log", f"{name}/{container['name']}", "", text, code)


async def _tail(cluster: Cluster, pod: str, container: str, *, previous: bool) -> str:
    try:
        async with aclosing(logs(cluster, pod, container, tail=LOG_LINES, previous=previous)) as lines:
            return "\n".join([line async for line in lines])
    except ClusterError:
        return ""  # a container that never started has no log; its state says why
