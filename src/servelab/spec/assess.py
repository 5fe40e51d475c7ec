"""From a trial's reports to what the goal makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from servelab.spec.base import Parameters, Spec
from servelab.spec.goal import Constraint, Objective
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.trial import Trial


class Assessment(Spec):
    """A trial in the light of the study's goal; ``None`` where it was not measured."""

    values: tuple[float | None, ...]
    violations: tuple[float | None, ...]
    trusted: bool

    @property
    def measured(self) -> bool:
        """Whether every objective and constraint has a value."""
        return None not in self.values and None not in self.violations

    @property
    def feasible(self) -> bool:
        """Whether every objective is known and every constraint is known to hold."""
        return self.measured and all(v is not None and v <= 0 for v in self.violations)


class Prediction(Spec):
    """What a prior believes of a configuration: metrics in SI units, and whether it can run at all."""

    runs: bool = True
    metrics: dict[str, float]


Prior = Callable[[Parameters], Prediction | None]
"""Predicts a configuration before it is tried; None where it knows nothing."""


class Observation(Spec):
    """What a sampler is told of a finished trial.

    ``metrics`` holds, for each objective and constraint, the measured value under its ``goal_key``; it is
    empty for a failed trial, whose ``cause`` says why (see Failure.cause). ``transient`` failures say nothing
    of the configuration. Without a cause, a goal that is not among ``metrics`` is not known, and neither kept nor
    missed: the configuration ran, and need not be tried again.
    """

    number: int
    parameters: Parameters
    metrics: dict[str, float]
    cause: str | None = None
    transient: bool = False
    partial: bool = False


def goal_key(goal: Objective | Constraint) -> str:
    """The name under which a goal's value is kept: the metric, and the load level if one is named."""
    return goal.metric if goal.at is None else f"{goal.metric}@{goal.at:g}"


def objective_value(objective: Objective, reports: Sequence[Report]) -> float | None:
    """The mean over the load levels, or the mean at the level named; None when nothing was measured."""
    if objective.score is not None:
        return objective.score.of(_means(objective, objective.score.metrics, reports))
    values = _values(objective, reports)
    return fmean(values) if values else None


def _means(objective: Objective, names: Sequence[str], reports: Sequence[Report]) -> dict[str, float]:
    parts = {name: _values(objective.model_copy(update={"metric": name}), reports) for name in names}
    return {name: fmean(values) for name, values in parts.items() if values}


def constraint_value(constraint: Constraint, reports: Sequence[Report]) -> float | None:
    """The worst over the load levels of the mean over repeats; None when nothing was measured."""
    by_level: dict[float, list[float]] = {}
    for report in reports:
        if constraint.metric in report.metrics and constraint.at in (None, report.load.level):
            by_level.setdefault(report.load.level, []).append(report.metrics[constraint.metric])
    means = [fmean(values) for values in by_level.values()]
    return max(means, key=constraint.violation) if means else None


def _values(goal: Objective, reports: Sequence[Report]) -> list[float]:
    return [r.metrics[goal.metric] for r in reports if goal.metric in r.metrics and goal.at in (None, r.load.level)]


def assess(study: Study, trial: Trial) -> Assessment:
    """Judge a trial by its full measurements (screening ones if there are no others)."""
    return assess_reports(study, trial.reports)


def assess_reports(study: Study, reports: Sequence[Report]) -> Assessment:
    """Judge a set of reports of one configuration."""
    found = [(c, constraint_value(c, reports)) for c in study.constraints]
    return Assessment(
        values=tuple(objective_value(objective, reports) for objective in study.objectives),
        violations=tuple(None if value is None else c.violation(value) for c, value in found),
        trusted=bool(reports) and all(report.trusted for report in reports),
    )


def learned_metrics(study: Study, reports: Sequence[Report]) -> Mapping[str, float]:
    """``goal_metrics``, without the goals that a measurement bound by the load generator enters.

    Such a number is the client's: learned as the configuration's, it would teach that all fast ones are alike.
    """
    goals: tuple[Objective | Constraint, ...] = (*study.objectives, *study.constraints)
    bound = {goal_key(goal) for goal in goals if any(r.client_bound and _enters(r, goal) for r in reports)}
    return {key: value for key, value in goal_metrics(study, reports).items() if key not in bound}


def _enters(report: Report, goal: Objective | Constraint) -> bool:
    """Whether the goal's value depends on this report."""
    score = goal.score if isinstance(goal, Objective) else None
    names = {goal.metric, *(score.metrics if score else ())}
    return bool(names & report.metrics.keys()) and goal.at in (None, report.load.level)


def goal_metrics(study: Study, reports: Sequence[Report]) -> Mapping[str, float]:
    """The values of all objectives and constraints by ``goal_key``, as far as measured."""
    found: dict[str, float | None] = {goal_key(o): objective_value(o, reports) for o in study.objectives}
    found |= {goal_key(c): constraint_value(c, reports) for c in study.constraints}
    return {key: value for key, value in found.items() if value is not None}
