"""What the tasks of a run print."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

from servelab.kube.cluster import Cluster
from servelab.kube.errors import RefusedError, ungrouped
from servelab.kube.kinds import POD, Manifest
from servelab.kube.logs import logs
from servelab.kube.watch import wait_for, watch
from servelab.spec.errors import NotFoundError
from servelab.tekton.follow import snapshot
from servelab.tekton.kinds import PIPELINE_RUN, TASK_RUN
from servelab.tekton.labels import PIPELINE_RUN_LABEL
from servelab.tekton.status import FINAL, TaskStatus, run_state, task_status

NO_LOG = (400, 404)  # what the API server answers for a step that was never reached, and for a pod that is gone
STEP = "step-"  # how Tekton names the containers of a task's steps

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
        NotFoundError: there is no such run.
        ClusterError: the cluster refuses, or was away for too long.
    """
    followed: set[str] = set()
    with ungrouped():
        async with asyncio.TaskGroup() as group:

            def take(task_run: Manifest) -> None:
                one = task_status(task_run)
                if one.pod and one.pod not in followed and task in ("", one.task):
                    followed.add(one.pod)
                    group.create_task(_print_task(cluster, one, emit, follow=True))

            watching = group.create_task(_each_task(cluster, run, take))
            if await wait_for(cluster, PIPELINE_RUN, run, _over) is None:
                raise NotFoundError(f"there is no PipelineRun {run} in {cluster.namespace}", "It may be deleted.")
            watching.cancel()
            for last in (await cluster.list(TASK_RUN, labels={PIPELINE_RUN_LABEL: run})).items:
                take(last)  # the watch may not have told of it yet


async def _each_task(cluster: Cluster, run: str, take: Callable[[Manifest], None]) -> None:
    async with aclosing(watch(cluster, TASK_RUN, labels={PIPELINE_RUN_LABEL: run})) as changes:
        async for change in changes:
            if change.type in ("added", "modified"):
                take(change.object)


def _over(run: Manifest | None) -> bool:
    return run is None or run_state(run) in FINAL


async def _print_task(cluster: Cluster, task: TaskStatus, emit: Emit, *, follow: bool) -> None:
    pod = await (wait_for(cluster, POD, task.pod, lambda _: True) if follow else cluster.find(POD, task.pod))
    containers = [one["name"] for one in (pod or {}).get("spec", {}).get("containers") or []]
    steps = [name for name in containers if name.startswith(STEP)] or containers
    for name in steps:
        if follow:
            await wait_for(cluster, POD, task.pod, partial(_begun, name))
        try:
            async with aclosing(logs(cluster, task.pod, name, follow=follow)) as lines:
                async for line in lines:
                    emit(task.task, name.removeprefix(STEP), line)
        except RefusedError as error:
            if error.code not in NO_LOG:
                raise


def _begun(container: str, pod: Manifest | None) -> bool:
    """Whether a container has started, or never will."""
    if pod is None or pod["status"].get("phase") in ("Succeeded", "Failed"):
        return True
    statuses = pod["status"].get("containerStatuses") or []
    state = next((one.get("state") or {} for one in statuses if one["name"] == container), {})
    return "running" in state or "terminated" in state
