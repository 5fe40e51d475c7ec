"""Plays Tekton's controller through the API: makes TaskRuns, and moves their status and their run's as it does.

What a task does is decided by the test; nothing of a task's steps is run, unless the test gives it a pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from servelab.kube.cluster import Cluster, connect
from servelab.kube.errors import ConflictError
from servelab.kube.kinds import POD, Manifest
from servelab.spec.errors import ClusterError
from servelab.tekton.kinds import PIPELINE, PIPELINE_RUN, TASK_RUN

TICK = 0.05  # seconds
ENDED = ("Succeeded", "Failed")


@dataclass
class Behaviour:
    """What a task does: it runs for ``seconds`` (None: until it is cancelled), then succeeds or fails.

    ``follows``: it ends as its pod does, after that.
    """

    seconds: float | None = 0.0
    fails: bool = False
    reason: str = "Failed"
    message: str = '"step-run" exited with code 1'
    pod: Manifest | None = None
    follows: bool = False


@dataclass
class Controller:
    """The controller of one namespace."""

    cluster: Cluster
    behaviours: dict[str, Behaviour] = field(default_factory=dict)

    async def work(self) -> None:
        """Reconcile for ever; an API server that is away is waited for."""
        while True:
            try:
                for run in (await self.cluster.list(PIPELINE_RUN)).items:
                    if _condition(run).get("status") in (None, "Unknown") and not run["metadata"].get(
                        "deletionTimestamp"
                    ):
                        await self._reconcile(run)
            except ClusterError:
                await asyncio.sleep(0.2)
            await asyncio.sleep(TICK)

    async def _reconcile(self, run: Manifest) -> None:
        pipeline = await self.cluster.find(PIPELINE, run["spec"]["pipelineRef"]["name"])
        if pipeline is None:
            message = f"Error retrieving pipeline for pipelinerun {run['metadata']['name']}"
            return await self._end(run, {}, "False", "CouldntGetPipeline", message)
        spec = pipeline["spec"]
        status = run.get("status") or {}
        if not status:
            started = {"startTime": _now(), "pipelineSpec": spec, "conditions": [_is("Unknown", "Started")]}
            return await self._set(PIPELINE_RUN, run, started)
        labels = {"tekton.dev/pipelineRun": run["metadata"]["name"]}
        mine = (await self.cluster.list(TASK_RUN, labels=labels)).items
        by_task = {one["metadata"]["labels"]["tekton.dev/pipelineTask"]: one for one in mine}
        asked = run["spec"].get("status")
        for task_run in mine:
            await self._advance(task_run, cancelled=asked in ("Cancelled", "CancelledRunFinally"))
        failed = any(_condition(one).get("status") == "False" for one in mine)
        running = any(_condition(one).get("status") in (None, "Unknown") for one in mine)
        if asked == "Cancelled" and not running:
            return await self._end(
                run, status, "False", "Cancelled", f"PipelineRun {run['metadata']['name']!r} was cancelled"
            )
        due = [] if failed or asked else [one for one in spec["tasks"] if _due(one, by_task)]
        over = not due and not running
        if over:
            due = [one for one in spec.get("finally") or [] if one["name"] not in by_task]
        for task in due:
            await self._start(run, pipeline, task)
        if due:
            return None
        done = all(one["name"] in by_task for one in spec["tasks"]) or failed or asked
        if over and done:
            return await self._conclude(run, spec, by_task, failed=failed, asked=asked)
        reason = "CancelledRunningFinally" if asked else "PipelineRunStopping" if failed else "Running"
        changed = {**status, "childReferences": _children(mine), "conditions": [_is("Unknown", reason)]}
        if changed != status:
            await self._set(PIPELINE_RUN, run, changed)
        return None

    async def _conclude(
        self, run: Manifest, spec: Any, by_task: dict[str, Manifest], *, failed: bool, asked: Any
    ) -> None:
        skipped = [
            {"name": one["name"], "reason": "PipelineRun was stopping"}
            for one in spec["tasks"]
            if one["name"] not in by_task
        ]
        ended = f"{len(by_task)} (Failed: {int(failed)}, Cancelled {int(bool(asked))})"
        counts = f"Tasks Completed: {ended}, Skipped: {len(skipped)}"
        status = {**run["status"], "childReferences": _children(by_task.values()), "skippedTasks": skipped}
        if asked:
            return await self._end(run, status, "False", "Cancelled", counts)
        if failed:
            return await self._end(run, status, "False", "Failed", counts)
        return await self._end(run, status, "True", "Completed" if skipped else "Succeeded", counts)

    async def _start(self, run: Manifest, pipeline: Manifest, task: Any) -> None:
        name = f"{run['metadata']['name']}-{task['name']}"[:63]
        specs = {one["pipelineTaskName"]: one for one in run["spec"].get("taskRunSpecs") or []}
        own = (specs.get(task["name"], {}).get("metadata") or {}).get("labels") or {}
        labels = {
            **(run["metadata"].get("labels") or {}),
            **own,
            "tekton.dev/pipeline": pipeline["metadata"]["name"],
            "tekton.dev/pipelineRun": run["metadata"]["name"],
            "tekton.dev/pipelineTask": task["name"],
        }
        owner = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": run["metadata"]["name"]}
        owner |= {"uid": run["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
        bound = {one["name"]: one for one in run["spec"].get("workspaces") or []}
        workspaces = [
            {**bound[one.get("workspace", one["name"])], "name": one["name"]} for one in task.get("workspaces") or []
        ]
        spec = {"taskRef": task["taskRef"], "params": task.get("params") or [], "workspaces": workspaces}
        metadata = {"name": name, "labels": labels, "ownerReferences": [owner]}
        with contextlib.suppress(ConflictError):
            await self.cluster.create(TASK_RUN, {"metadata": metadata, "spec": spec})

    async def _advance(self, run: Manifest, *, cancelled: bool) -> None:
        condition = _condition(run)
        if condition.get("status") not in (None, "Unknown"):
            return
        task = run["metadata"]["labels"]["tekton.dev/pipelineTask"]
        how = self.behaviours.get(task, Behaviour())
        status = run.get("status") or {}
        if not status:
            pod = await self._pod(run, how)
            begun = {
                "startTime": _now(),
                "podName": pod,
                "conditions": [_is("Unknown", "Running", "Not all Steps have completed")],
            }
            return await self._set(TASK_RUN, run, begun)
        final = task.startswith("finally-")
        phase = await self._phase(status["podName"]) if how.follows else "Succeeded"
        if cancelled and not final:
            ended = _is("False", "TaskRunCancelled", f"TaskRun {run['metadata']['name']!r} was cancelled")
        elif how.seconds is None or time.time() - _time(status["startTime"]) < how.seconds or phase not in ENDED:
            return
        elif how.fails or phase == "Failed":
            ended = _is("False", how.reason, how.message)
        else:
            ended = _is("True", "Succeeded", "All Steps have completed executing")
        await self._set(TASK_RUN, run, {**status, "completionTime": _now(), "conditions": [ended]})

    async def _pod(self, run: Manifest, how: Behaviour) -> str:
        if how.pod is None:
            return ""
        name = f"{run['metadata']['name']}-pod"
        labels = {**run["metadata"]["labels"], "tekton.dev/taskRun": run["metadata"]["name"]}
        with contextlib.suppress(ConflictError):  # made already, when the API server went away
            await self.cluster.create(POD, {**how.pod, "metadata": {"name": name, "labels": labels}})
        return name

    async def _phase(self, pod: str) -> str:
        return str((await self.cluster.get(POD, pod)).get("status", {}).get("phase"))

    async def _end(self, run: Manifest, status: Manifest, value: str, reason: str, message: str) -> None:
        await self._set(
            PIPELINE_RUN, run, {**status, "completionTime": _now(), "conditions": [_is(value, reason, message)]}
        )

    async def _set(self, kind: Any, item: Manifest, status: Manifest) -> None:
        await self.cluster.merge(kind, item["metadata"]["name"], {"status": status}, subresource="status")


@asynccontextmanager
async def controlled(kubeconfig: Path, namespace: str, **behaviours: Behaviour) -> AsyncIterator[Controller]:
    """A controller at work in a namespace; behaviours by task, with _ for -."""
    async with connect(kubeconfig=kubeconfig, namespace=namespace) as cluster:
        controller = Controller(cluster, {name.replace("_", "-"): how for name, how in behaviours.items()})
        working = asyncio.create_task(controller.work())
        try:
            yield controller
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def _due(task: Any, by_task: dict[str, Manifest]) -> bool:
    before = task.get("runAfter") or []
    return task["name"] not in by_task and all(
        name in by_task and _condition(by_task[name]).get("status") == "True" for name in before
    )


def _children(runs: Any) -> list[Manifest]:
    return [
        {
            "apiVersion": "tekton.dev/v1",
            "kind": "TaskRun",
            "name": one["metadata"]["name"],
            "pipelineTaskName": one["metadata"]["labels"]["tekton.dev/pipelineTask"],
        }
        for one in runs
    ]


def _condition(item: Manifest) -> Manifest:
    conditions = (item.get("status") or {}).get("conditions") or [{}]
    return conditions[0]  # type: ignore[no-any-return]


def _is(status: str, reason: str, message: str = "") -> Manifest:
    return {"type": "Succeeded", "status": status, "reason": reason, "message": message}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
