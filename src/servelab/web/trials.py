"""Trials as a table shows them: those asked for, in the order asked for, with intervals where they are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from servelab.report.front import ending
from servelab.report.rows import outcome, title
from servelab.report.words import value_text
from servelab.spec.assess import goal_key
from servelab.spec.base import Value
from servelab.spec.errors import DocumentError
from servelab.spec.goal import Constraint, Objective
from servelab.spec.metrics import format_metric
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord, Trial, TrialKind, TrialState
from servelab.store.store import Store
from servelab.store.views import TrialPoint

FIXED = ("number", "kind", "state", "note", "finished")


class Reading(BaseModel):
    """A goal's value in SI units with its 95 % interval where one measurement tells it, and both in words."""

    value: float
    low: float | None = None
    high: float | None = None
    text: str
    interval: str = ""


class TrialLine(BaseModel):
    """One trial: what it was, how it ended, what it measured, and what there is to say of it."""

    number: int
    kind: TrialKind
    title: str
    state: TrialState
    outcome: str
    parameters: dict[str, Value]
    metrics: dict[str, Reading]
    feasible: bool | None
    note: str
    remedy: str
    finished_at: float | None


class TrialPage(BaseModel):
    """A part of a study's trials; ``total`` are all that fit what was asked."""

    total: int
    offset: int
    trials: list[TrialLine]


class Wanted(BaseModel):
    """Which trials, and in which order."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(default=0, ge=0, le=2**31 - 1)
    limit: int = Field(default=100, ge=1, le=500)
    sort: str = Field(
        default="number", max_length=100, description="number, kind, state, note, finished, a parameter or a goal"
    )
    order: Literal["asc", "desc"] = "asc"
    state: TrialState | None = None
    text: str = Field(default="", max_length=200, description="part of a number, a parameter=value, or a message")


def trial_page(store: Store, record: StudyRecord, points: Sequence[TrialPoint], wanted: Wanted) -> TrialPage:
    """The trials that fit, sorted; only those returned are read with their reports.

    Raises:
        DocumentError: there is no such column to sort by.
    """
    fitting = [point for point in points if _fits(point, wanted.state, wanted.text.lower())]
    chosen = arranged(record.study, fitting, wanted)[wanted.offset : wanted.offset + wanted.limit]
    lines = trial_lines(store, record, [point.number for point in chosen])
    return TrialPage(total=len(fitting), offset=wanted.offset, trials=lines)


def trial_lines(store: Store, record: StudyRecord, numbers: Sequence[int]) -> list[TrialLine]:
    """The lines of these trials, in this order."""
    found = {trial.number: trial for trial in store.trials(record.id, with_reports=True, numbers=list(numbers))}
    return [_line(record.study, found[number]) for number in numbers if number in found]


def arranged(study: Study, points: Sequence[TrialPoint], wanted: Wanted) -> list[TrialPoint]:
    """The trials sorted by a column; those without a value come last, whichever way.

    Raises:
        DocumentError: there is no such column.
    """
    read = _column(study, wanted.sort)
    known = [(value, point) for point in points if (value := read(point)) is not None]
    missing = [point for point in points if read(point) is None]
    known.sort(key=lambda pair: _rank(pair[0]), reverse=wanted.order == "desc")
    return [point for _, point in known] + missing


def _column(study: Study, name: str) -> Callable[[TrialPoint], Any]:
    if name == "finished":
        return lambda point: point.finished_at
    if name in FIXED:
        return lambda point: getattr(point, name)
    if name in study.changed:
        return lambda point: point.parameters.get(name)
    if name in {goal_key(goal) for goal in study.goals}:
        return lambda point: point.outcome.get(name)
    names = (*FIXED, *study.changed, *(goal_key(goal) for goal in study.goals))
    raise DocumentError((f"sort: there is no column {name!r}; there are {', '.join(dict.fromkeys(names))}",))


def _rank(value: Any) -> tuple[bool, Any]:
    """Numbers before words."""
    return (isinstance(value, str), value)


def _fits(point: TrialPoint, state: TrialState | None, text: str) -> bool:
    if state is not None and point.state != state:
        return False
    return not text or any(text in word for word in _words(point))


def _words(point: TrialPoint) -> Iterable[str]:
    yield str(point.number)
    yield title(point.kind, point.verifies)
    yield point.note.lower()
    for name, value in point.parameters.items():
        yield f"{name}={value_text(value)}".lower()


def _line(study: Study, trial: Trial) -> TrialLine:
    failed = trial.failure if trial.state == "failed" else None
    return TrialLine(
        number=trial.number,
        kind=trial.kind,
        title=title(trial.kind, trial.verifies, trial.round),
        state=trial.state,
        outcome=outcome(study, trial) if trial.reports else (ending(trial.state, trial.feasible) or trial.state),
        parameters=trial.parameters,
        metrics={goal_key(goal): one for goal in study.goals if (one := _reading(goal, trial)) is not None},
        feasible=trial.feasible,
        note=failed.message if failed else trial.note,
        remedy=failed.remedy if failed else "",
        finished_at=trial.finished_at,
    )


def _reading(goal: Objective | Constraint, trial: Trial) -> Reading | None:
    value = trial.outcome.get(goal_key(goal))
    if value is None:
        return None
    told = [
        report.intervals[goal.metric]
        for report in trial.reports
        if goal.metric in report.metrics and goal.at in (None, report.load.level) and goal.metric in report.intervals
    ]
    if len(told) != 1 or len(trial.reports) != 1:
        return Reading(value=value, text=format_metric(goal.metric, value))
    low, high = told[0]
    interval = f"{format_metric(goal.metric, low)} to {format_metric(goal.metric, high)}"
    return Reading(value=value, low=low, high=high, text=format_metric(goal.metric, value), interval=interval)
