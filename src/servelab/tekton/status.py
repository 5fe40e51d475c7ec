"""What a PipelineRun and its TaskRuns say of themselves, in few words. Pure: objects in, status out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from servelab.kube.kinds import Manifest
from servelab.kube.labels import TRIAL, label
from servelab.tekton.expected import Expected, expected
from servelab.tekton.labels import PIPELINE_TASK_LABEL

RunState = Literal["PENDING", "RUNNING", "SUCCESS", "FAILURE", "CANCELLED"]
TaskState = Literal["Pending", "Running", "Succeeded", "Failed", "Cancelled", "Skipped", "Ignored"]

FINAL: tuple[RunState, ...] = ("SUCCESS", "FAILURE", "CANCELLED")
CANCELLED = ("Cancelled", "TaskRunCancelled", "PipelineRunCancelled")
CANCELLING = ("Cancelled", "CancelledRunFinally", "StoppedRunFinally")
"""Values of ``spec.status`` of a PipelineRun that end it: at once, or after its final tasks."""


@dataclass(frozen=True)
class TaskStatus:
    """A task of a pipeline; times are UNIX times. ``run`` and ``pod`` are empty before it starts."""

    task: str
    state: TaskState
    started: float | None = None
    finished: float | None = None
    run: str = ""
    pod: str = ""
    trial: str = ""
    reason: str = ""
    message: str = ""
    retries: int = 0

    @property
    def expected(self) -> Expected | None:
        """How long it usually takes."""
        return expected(self.task)

    def seconds(self, now: float) -> float | None:
        """How long it took, or takes so far."""
        return None if self.started is None else max(0.0, (self.finished or now) - self.started)

    def slow(self, now: float) -> bool:
        """Whether it runs, and longer than twice the usual time."""
        seconds = self.seconds(now)
        usual = self.expected
        return self.state == "Running" and seconds is not None and usual is not None and usual.exceeded_by(seconds)


@dataclass(frozen=True)
class RunStatus:
    """A PipelineRun with its tasks, in the pipeline's order."""

    name: str
    namespace: str
    state: RunState
    reason: str
    message: str
    started: float | None
    finished: float | None
    tasks: tuple[TaskStatus, ...]
    results: dict[str, str] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL

    @property
    def failed(self) -> tuple[TaskStatus, ...]:
        """The tasks that failed."""
        return tuple(task for task in self.tasks if task.state == "Failed")

    def seconds(self, now: float) -> float | None:
        """How long it took, or takes so far."""
        return None if self.started is None else max(0.0, (self.finished or now) - self.started)


def task_status(run: Manifest) -> TaskStatus:
    """The status of a TaskRun."""
    status = run.get("status") or {}
    condition = succeeded(run)
    name = run["metadata"]["name"]
    started = timestamp(status.get("startTime"))
    return TaskStatus(
        task=label(run, PIPELINE_TASK_LABEL) or name,
        state=_task_state(condition, started),
        started=started,
        finished=timestamp(status.get("completionTime")),
        run=name,
        pod=status.get("podName") or "",
        trial=label(run, TRIAL),
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
        retries=len(status.get("retriesStatus") or []),
    )


def run_status(run: Manifest, tasks: Iterable[TaskStatus], pipeline: Manifest | None = None) -> RunStatus:
    """The status of a PipelineRun, with its tasks that started and, from the pipeline, those that did not."""
    status = run.get("status") or {}
    condition = succeeded(run)
    known = list(tasks)
    return RunStatus(
        name=run["metadata"]["name"],
        namespace=run["metadata"].get("namespace", ""),
        state=run_state(run),
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
        started=timestamp(status.get("startTime")),
        finished=timestamp(status.get("completionTime")),
        results={one["name"]: str(one.get("value", "")) for one in status.get("results") or []},
        tasks=tuple(_in_order(known, _task_names(run, pipeline), _skipped(status))),
    )


def succeeded(item: Manifest) -> dict[str, Any]:
    """The condition ``Succeeded`` of a run; empty before there is one."""
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((dict(one) for one in conditions if one.get("type") == "Succeeded"), {})


def timestamp(text: str | None) -> float | None:
    """A time of Kubernetes as UNIX time."""
    return datetime.fromisoformat(text).timestamp() if text else None


def _task_state(condition: dict[str, Any], started: float | None) -> TaskState:
    if condition.get("status") == "True":
        return "Succeeded"
    if condition.get("status") == "False":
        reason = condition.get("reason")
        return "Cancelled" if reason in CANCELLED else "Ignored" if reason == "FailureIgnored" else "Failed"
    return "Running" if started is not None else "Pending"


def run_state(run: Manifest) -> RunState:
    """The state of a PipelineRun."""
    condition = succeeded(run)
    if condition.get("status") == "True":
        return "SUCCESS"
    if condition.get("status") == "False":
        asked = run.get("spec", {}).get("status") in CANCELLING
        return "CANCELLED" if asked or condition.get("reason") in CANCELLED else "FAILURE"
    return "RUNNING" if condition else "PENDING"


def _task_names(run: Manifest, pipeline: Manifest | None) -> list[str]:
    """The tasks' names in their order: as resolved by Tekton, as embedded, or as in the Pipeline."""
    resolved = (run.get("status") or {}).get("pipelineSpec") or run.get("spec", {}).get("pipelineSpec")
    spec = resolved or (pipeline or {}).get("spec") or {}
    return [task["name"] for task in [*(spec.get("tasks") or []), *(spec.get("finally") or [])]]


def _skipped(status: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("reason", "") for one in status.get("skippedTasks") or []}


def _in_order(known: list[TaskStatus], names: list[str], skipped: dict[str, str]) -> Iterable[TaskStatus]:
    by_task: dict[str, list[TaskStatus]] = {}
    for task in known:
        by_task.setdefault(task.task, []).append(task)
    for name in names:
        if name in by_task:
            yield from by_task.pop(name)
        else:
            reason = skipped.get(name)
            yield TaskStatus(name, "Pending") if reason is None else TaskStatus(name, "Skipped", reason=reason)
    for rest in by_task.values():
        yield from rest
