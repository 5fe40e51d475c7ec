"""What happens in a study: trials, their measurements, and events."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from servelab.spec.base import Parameters, Spec
from servelab.spec.deployment import Failure
from servelab.spec.report import Report
from servelab.spec.study import Study

TrialState = Literal["waiting", "running", "complete", "failed", "stopped"]
"""``stopped``: hopeless after screening, so the full measurement was not made. All but the first two are final."""

TrialKind = Literal["baseline", "search", "verification"]

StudyState = Literal["waiting", "running", "verifying", "paused", "cancelled", "complete", "failed"]

Phase = Literal["screen", "full", "probe"]
"""``probe``: a step of a saturation search, whose answer is the ``full`` measurement."""


class Measurement(Spec):
    """A report in its place: unique in its trial by (phase, point, repeat)."""

    phase: Phase
    point: int = Field(ge=0, description="index of the load level")
    repeat: int = Field(ge=0)
    report: Report


class Timings(Spec):
    """Seconds spent in each stage of the last attempt."""

    suggest: float = 0.0
    ready: float = 0.0
    measure: float = 0.0
    stop: float = 0.0
    total: float = 0.0


class Trial(Spec):
    """One configuration, deployed and measured."""

    number: int = Field(ge=0)
    parameters: Parameters
    kind: TrialKind = "search"
    verifies: int | None = Field(default=None, description="number of the trial that is measured again")
    round: int | None = None
    state: TrialState = "waiting"
    attempts: int = 0
    timings: Timings = Timings()
    failure: Failure | None = None
    measurements: tuple[Measurement, ...] = ()
    outcome: dict[str, float] = Field(
        default_factory=dict,
        description="values of objectives and constraints, by goal_key, as far as known; set when final",
    )
    feasible: bool | None = Field(default=None, description="whether it keeps every constraint; None while in doubt")
    note: str = Field(default="", description="why it was stopped, for people")
    command: tuple[str, ...] = ()
    created_at: float = 0.0
    finished_at: float | None = None

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in ("waiting", "running")

    @property
    def reports(self) -> tuple[Report, ...]:
        """The full measurements; the screening ones where there are no others."""
        full = tuple(m.report for m in self.measurements if m.phase == "full")
        return full or tuple(m.report for m in self.measurements)

    @property
    def client_bound(self) -> bool:
        """Whether a load generator that was too slow set some of its numbers."""
        return any(report.client_bound for report in self.reports)


class Event(Spec):
    """Something that happened, for live views: monotone ``id`` per store."""

    id: int
    study: str
    trial: int | None
    time: float
    kind: str
    data: dict[str, Any] = Field(default_factory=dict)


class StudyRecord(Spec):
    """A study with its state, as the store knows it."""

    id: str
    study: Study
    state: StudyState
    created_at: float
    finished_at: float | None = None
    message: str = Field(default="", description="why it ended or waits, for people")
