"""What the tasks of a run print."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import aclosing

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import POD
from servelab.kube.logs import logs
from servelab.kube.watch import watch
from servelab.spec.errors import ClusterError, NotFoundError
from servelab.tekton.follow import snapshot
from servelab.tekton.kinds import PIPELINE_RUN, TASK_RUN
from servelab.tekton.labels import PIPELINE_RUN_LABEL
from servelab.tekton.status import FINAL, TaskStatus, run_state, task_status

STEP = "step-"  # how Tekton names the containers of a task's steps
POLL = 0.5  # seconds between looks at a container that has not started

Emit = Callable[[str, str, str], object]
"""Is given the task, the step and a line."""


async def print_logs(cluster: Cluster, run: str, task: str, emit: Emit) -> None:
    """The logs of a run's tasks so far, in order; of one task alone if one is named.

    Raises:
        NotFoundError: there is no such run, or it has no such task yet.
        ClusterError: the cluster refuses.
    """
    status = (await snapshot(cluster, run)).status
    started = [one for one in status.tasks if one.pod and task in ("", one.task)] if status else []
    if not started:
        names = ", ".join(one.task for one in status.tasks if one.pod) if status else ""
        raise NotFoundError(f"no pod of {task or 'any task'} of run {run} is there", f"There are: {names or 'none'}.")
    for one in started:
        await _print_task(cluster, one, emit, follow=False)


async def follow_logs(cluster: Cluster, run: str, task: str, emit: Emit) -> None:
    """The logs of a run's tasks as they are written, until the run ends.

    Raises:
        ClusterError: the cluster refuses, or was away for too long.
    """
    followed: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(_wait(cluster, run))

        async def watch_tasks() -> None:
            async with aclosing(watch(cluster, TASK_RUN, labels={PIPELINE_RUN_LABEL: run})) as changes:
                async for change in changes:
                    if change.type not in ("added", "modified"):
                        continue
                    one = task_status(change.object)
                    if one.pod and one.pod not in followed and task in ("", one.task):
                        followed[one.pod] = group.create_task(_print_task(cluster, one, emit, follow=True))

        watching = group.create_task(watch_tasks())
        await ended
        watching.cancel()


async def _wait(cluster: Cluster, run: str) -> None:
    """Return when a run is final."""
    async with aclosing(watch(cluster, PIPELINE_RUN, fields={"metadata.name": run})) as changes:
        async for change in changes:
            if change.type == "deleted" or (change.object and run_state(change.object) in FINAL):
                return


async def _print_task(cluster: Cluster, task: TaskStatus, emit: Emit, *, follow: bool) -> None:
    pod = await cluster.find(POD, task.pod)
    containers = [one["name"] for one in (pod or {}).get("spec", {}).get("containers") or []]
    steps = [name for name in containers if name.startswith(STEP)] or containers
    for name in steps:
        if follow:
            await _started(cluster, task.pod, name)
        with contextlib.suppress(ClusterError):  # a step that was never reached has no log
            async with aclosing(logs(cluster, task.pod, name, follow=follow)) as lines:
                async for line in lines:
                    emit(task.task, name.removeprefix(STEP), line)


async def _started(cluster: Cluster, pod: str, container: str) -> None:
    """Return when a container has started, or never will."""
    while True:
        found = await cluster.find(POD, pod)
        if found is None or found["status"].get("phase") in ("Succeeded", "Failed"):
            return
        statuses = found["status"].get("containerStatuses") or []
        state = next((one.get("state") or {} for one in statuses if one["name"] == container), {})
        if "running" in state or "terminated" in state:
            return
        await asyncio.sleep(POLL)
