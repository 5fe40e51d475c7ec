"""How each verified configuration stood when it was measured again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from pydantic import computed_field

from servelab.report.blocks import LEVEL, MIN_ROUNDS, risk_above_zero, simultaneous_differences
from servelab.spec.assess import constraint_value, objective_value
from servelab.spec.base import Parameters, Spec
from servelab.spec.goal import Constraint, Objective
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.trial import Trial

MAX_ERROR_SHARE = 0.01
"""Of the requests of a measurement: with more failures its latencies describe other work than was asked for."""


class Gain(Spec):
    """An improvement over the reference with its interval; positive is better, whatever the direction.

    ``relative``: shares of the reference's value; otherwise in the metric's own unit.
    """

    value: float
    low: float | None = None
    high: float | None = None
    level: float = LEVEL
    rounds: int
    relative: bool = True

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero on the better side."""
        return self.low is not None and self.low > 0


class SLOCheck(Spec):
    """A constraint on re-test: its value over all rounds and in each, and the chance that one more run breaks it."""

    constraint: Constraint
    overall: float | None
    values: tuple[float, ...]
    risk: float | None

    @property
    def broken_rounds(self) -> int:
        """In how many rounds the constraint did not hold."""
        return sum(self.constraint.violation(value) > 0 for value in self.values)

    @property
    def worst(self) -> float | None:
        """The value of the worst round."""
        return max(self.values, key=self.constraint.violation, default=None)


class Standing(Spec):
    """One configuration on re-test; ``trial`` is the trial it was first measured in."""

    trial: int
    is_default: bool
    parameters: Parameters
    rounds: tuple[int, ...]
    values: tuple[float, ...]
    slo: tuple[SLOCheck, ...]
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    gain: Gain | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def value(self) -> float | None:
        """The objective's mean over the rounds."""
        return fmean(self.values) if self.values else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def kept(self) -> bool:
        """Whether it ran in every round and every constraint was measured and held in each."""
        return not self.failures and all(len(c.values) == len(self.rounds) and not c.broken_rounds for c in self.slo)

    @property
    def feasible_overall(self) -> bool:
        """Whether the constraints hold for all rounds taken together."""
        return all(c.overall is not None and c.constraint.violation(c.overall) <= 0 for c in self.slo)

    @property
    def risk(self) -> float:
        """The chance that one more run breaks a constraint, by the most endangered one; 0 where unknown."""
        return max((check.risk or 0.0 for check in self.slo), default=0.0)


def doubts(reports: Sequence[Report]) -> tuple[str, ...]:
    """Why these measurements should not found a recommendation; empty when they may."""
    found: dict[str, None] = {}
    saturated = [report.client for report in reports if report.client.verdict == "saturated"]
    if saturated:
        # Each says by how much; one line for all of them, with the first one's reasons.
        share = f" in {len(saturated)} of {len(reports)} measurements" if len(reports) > 1 else ""
        reasons = "; ".join(saturated[0].reasons) or "no reason given"
        found[f"the load generator was saturated{share} ({reasons})"] = None
    for report in reports:
        client = report.client
        if client.verdict == "unknown":
            found["whether the load generator kept up is not known"] = None
        failed = sum(report.errors.values())
        if failed > MAX_ERROR_SHARE * report.requests and not any("failed" in warning for warning in report.warnings):
            kinds = ", ".join(sorted(report.errors))
            found[f"{failed} of {report.requests} requests failed ({kinds})"] = None
        found |= dict.fromkeys(report.warnings)
    return tuple(found)


def standings(study: Study, trials: Sequence[Trial]) -> tuple[Standing, ...]:
    """Every verified configuration with its gain over the default, or over the first where there is no default.

    Only the verification trials enter: what the search saw of the best few is biased in their favour, since
    they were picked for it.
    """
    retests: dict[int, list[Trial]] = {}
    for trial in trials:
        if trial.kind == "verification" and trial.verifies is not None and trial.final:
            retests.setdefault(trial.verifies, []).append(trial)
    default = next((trial.number for trial in trials if trial.kind == "baseline"), None)
    order = sorted(retests, key=lambda number: (number != default, number))
    found = [_standing(study, number, number == default, retests[number]) for number in order]
    return _with_gains(study.objectives[0], found)


def _standing(study: Study, number: int, is_default: bool, retests: list[Trial]) -> Standing:
    measured: dict[int, Trial] = {}
    values: dict[int, float] = {}
    for trial in sorted(retests, key=lambda trial: trial.number):
        value = objective_value(study.objectives[0], trial.reports)
        if trial.state == "complete" and trial.round is not None and value is not None:
            measured[trial.round], values[trial.round] = trial, value
    rounds = sorted(measured)
    failed = [trial for trial in retests if trial.state == "failed"]
    return Standing(
        trial=number,
        is_default=is_default,
        parameters=retests[0].parameters,
        rounds=tuple(rounds),
        values=tuple(values[r] for r in rounds),
        slo=tuple(_check(constraint, [measured[r] for r in rounds]) for constraint in study.constraints),
        failures=tuple(trial.failure.message if trial.failure else "failed" for trial in failed),
        doubts=doubts([report for r in rounds for report in measured[r].reports]),
    )


def _check(constraint: Constraint, retests: Sequence[Trial]) -> SLOCheck:
    found = [constraint_value(constraint, trial.reports) for trial in retests]
    values = [value for value in found if value is not None]
    return SLOCheck(
        constraint=constraint,
        overall=constraint_value(constraint, [report for trial in retests for report in trial.reports]),
        values=tuple(values),
        risk=risk_above_zero([constraint.violation(value) for value in values]),
    )


def _with_gains(objective: Objective, field: list[Standing]) -> tuple[Standing, ...]:
    """Add gains over the default, in the rounds that it and everybody who never failed have in common.

    A default that breaks an SLO is no yardstick: there are no gains over it.
    """
    sound = [standing for standing in field if standing.rounds and (standing.is_default or not standing.failures)]
    if len(sound) < 2 or not sound[0].is_default or not sound[0].feasible_overall:
        return tuple(field)
    common = sorted(set.intersection(*(set(standing.rounds) for standing in sound)))
    table = [[standing.values[standing.rounds.index(r)] for r in common] for standing in sound]
    gains = compare_rows(objective, table) if common else []
    by_trial = dict(zip((standing.trial for standing in sound[1:]), gains, strict=False))
    return tuple(standing.model_copy(update={"gain": by_trial.get(standing.trial)}) for standing in field)


def compare_rows(objective: Objective, table: Sequence[Sequence[float]]) -> list[Gain]:
    """Gains of rows 1, 2, ... over row 0, columns being rounds.

    They are ratios, or plain differences where a value is not positive; without an interval below MIN_ROUNDS rounds.
    """
    import numpy as np

    values = np.array(table, dtype=np.float64)
    relative = bool((values > 0).all())
    sign = 1.0 if objective.direction == "maximize" else -1.0
    scaled = sign * (np.log(values) if relative else values)
    rounds = values.shape[1]

    def shown(difference: float) -> float:
        return sign * math.expm1(sign * difference) if relative else difference

    if rounds < MIN_ROUNDS:
        gaps = (scaled[1:] - scaled[:1]).mean(axis=1)
        return [Gain(value=shown(float(gap)), rounds=rounds, relative=relative) for gap in gaps]
    return [
        Gain(value=shown(value), low=shown(low), high=shown(high), rounds=rounds, relative=relative)
        for value, low, high in simultaneous_differences(scaled)
    ]
