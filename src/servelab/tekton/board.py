"""What is known of a run at this moment, kept up to date by changes; a view reads it as often as it likes."""

from __future__ import annotations

from dataclasses import dataclass, field

from servelab.kube.kinds import Manifest
from servelab.kube.labels import STUDY, TRIAL, label
from servelab.kube.names import check_label_value
from servelab.kube.watch import Change
from servelab.tekton.pods import EnginePod
from servelab.tekton.status import FINAL, RunStatus, TaskStatus, run_state, run_status, task_status


@dataclass
class Board:
    """A run, its tasks and its engines.

    ``lost`` says why the cluster cannot be reached just now; ``latest`` is the task that changed last.
    """

    name: str
    run: Manifest | None = None
    pipeline: Manifest | None = None
    pods: list[EnginePod] = field(default_factory=list)
    lost: str = ""
    latest: TaskStatus | None = None
    synced: bool = False
    gone: bool = False
    _tasks: dict[str, TaskStatus] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)

    def take_run(self, change: Change) -> None:
        """Take in a change of the PipelineRun."""
        if self._took(change):
            self.gone = change.type == "deleted"
            self.run = change.object

    def take_task(self, change: Change) -> None:
        """Take in a change of a TaskRun."""
        if change.type == "synced":
            self.synced = True
        if self._took(change):
            name = change.object["metadata"]["name"]
            self._failed.discard(name)
            if change.type == "deleted":
                self._tasks.pop(name, None)
                return
            self.latest = self._tasks[name] = task_status(change.object)
            if self.latest.state == "Failed":
                self._failed.add(name)

    def _took(self, change: Change) -> bool:
        self.lost = change.error.message if change.type == "lost" and change.error else ""
        return change.type in ("added", "modified", "deleted")

    @property
    def study(self) -> str:
        """The study that the run belongs to."""
        return (label(self.run, STUDY) if self.run else "") or self.name

    @property
    def trials(self) -> set[str]:
        """The study's treatments, by the labels that the run gives its tasks."""
        specs = ((self.run or {}).get("spec") or {}).get("taskRunSpecs") or []
        return {check_label_value(label(spec, TRIAL)) for spec in specs} - {""}

    @property
    def over(self) -> bool:
        """Whether the run is final, or a task has failed; cheap, unlike ``status``, with many tasks."""
        return self.run is not None and self.synced and (bool(self._failed) or run_state(self.run) in FINAL)

    @property
    def status(self) -> RunStatus | None:
        """The run's status; None before anything is known of it."""
        return run_status(self.run, self._tasks.values(), self.pipeline) if self.run else None
