"""Tables of a report as plain rows of text, for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from servelab.report.digest import Digest
from servelab.report.sentences import interval_text
from servelab.report.standing import Standing
from servelab.report.words import percent, signed
from servelab.spec.assess import assess_reports, constraint_value, goal_key, objective_value
from servelab.spec.goal import Constraint, Objective
from servelab.spec.metrics import format_metric, metric
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.trial import Trial, TrialKind


@dataclass(frozen=True)
class TrialRow:
    """One trial: what it was, how it ended, its values of the goals, and what there is to say of it."""

    trial: Trial
    title: str
    outcome: str
    """One of: ok, breaks SLO, stopped early, failed, running, waiting."""
    values: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Comparison:
    """A metric of the default and of the chosen configuration."""

    metric: str
    title: str
    default: str
    chosen: str
    change: str
    bound: str
    default_breaks: bool
    chosen_breaks: bool


def goal_value(goal: Objective | Constraint, reports: Sequence[Report]) -> float | None:
    """What reports say of an objective or a constraint."""
    return objective_value(goal, reports) if isinstance(goal, Objective) else constraint_value(goal, reports)


def trial_rows(digest: Digest) -> list[TrialRow]:
    """A row for every trial, in order."""
    return [
        TrialRow(
            trial=trial,
            title=title(trial.kind, trial.verifies, trial.round),
            outcome=outcome(digest.study, trial),
            values=tuple(format_metric(goal.metric, goal_value(goal, trial.reports)) for goal in digest.goals),
            note=trial.failure.message if trial.failure and trial.state == "failed" else trial.note,
        )
        for trial in digest.trials
    ]


def title(kind: TrialKind, verifies: int | None, turn: int | None = None) -> str:
    """What a trial is, where it is not one of the search."""
    if kind == "baseline":
        return "default"
    if kind == "verification":
        return f"re-test of {verifies}{f', round {turn + 1}' if turn is not None else ''}"
    return ""


def outcome(study: Study, trial: Trial) -> str:
    """How a trial ended, in two words."""
    if trial.state != "complete":
        return "stopped early" if trial.state == "stopped" else trial.state
    judged = assess_reports(study, trial.reports)
    if not study.constraints or judged.feasible:
        return "ok" if judged.trusted or not trial.reports else "ok, in doubt"
    return "breaks SLO" if any(v is not None and v > 0 for v in judged.violations) else "incomplete"


def comparisons(digest: Digest) -> list[Comparison]:
    """The default beside the chosen configuration: the goals first, then what else both measured."""
    verdict = digest.verdict
    if verdict.trial is None or verdict.default is None or verdict.trial == verdict.default:
        return []
    chosen, default = (digest.reports.get(number, ()) for number in (verdict.trial, verdict.default))
    if not chosen or not default:
        return []
    shown = {goal_key(goal) for goal in digest.goals}
    more = [name for name in USUAL if name not in shown and all(name in r.metrics for r in (*chosen, *default))]
    goals = [*digest.goals, *(Objective(metric=name, direction=metric(name).direction) for name in more)]
    return [_comparison(digest, goal, default, chosen) for goal in goals]


USUAL = ("output_throughput", "request_throughput", "ttft_p50", "ttft_p95", "itl_p50", "itl_p95", "e2e_p95")
"""What people read first."""


def _comparison(
    digest: Digest, goal: Objective | Constraint, default: Sequence[Report], chosen: Sequence[Report]
) -> Comparison:
    old, new = goal_value(goal, default), goal_value(goal, chosen)
    bound = next((c for c in digest.study.constraints if goal_key(c) == goal_key(goal)), None)
    return Comparison(
        metric=goal_key(goal),
        title=metric(goal.metric).title,
        default=format_metric(goal.metric, old),
        chosen=format_metric(goal.metric, new),
        change=signed(new / old - 1) if old and new is not None else "-",
        bound=str(bound).removeprefix(goal.metric).strip() if bound else "",
        default_breaks=_breaks(bound, old),
        chosen_breaks=_breaks(bound, new),
    )


def _breaks(bound: Constraint | None, value: float | None) -> bool:
    return bound is not None and value is not None and bound.violation(value) > 0


def gain_line(digest: Digest) -> str:
    """The gain of the chosen configuration with its interval, or nothing where there is none to speak of."""
    verdict = digest.verdict
    if verdict.gain is None:
        return ""
    objective = digest.study.objectives[0]
    size = signed(verdict.gain.value) if verdict.gain.relative else format_metric(objective.metric, verdict.gain.value)
    return f"Gain in {objective.metric} {size} ({interval_text(objective, verdict.gain)})"


def gain_cells(found: Digest, standing: Standing) -> tuple[str, str]:
    """Gain and interval of a standing, for two cells of a table."""
    gain = standing.gain
    if gain is None:
        return ("-", "")
    objective = found.study.objectives[0]
    size = signed(gain.value) if gain.relative else format_metric(objective.metric, gain.value)
    if gain.low is None or gain.high is None:
        return (size, interval_text(objective, gain))
    low, high = ((signed(b) if gain.relative else format_metric(objective.metric, b)) for b in (gain.low, gain.high))
    return (size, f"{low} to {high}")


def risk_line(digest: Digest) -> str:
    """How likely one more run breaks an SLO, or nothing where there is no SLO."""
    standing = digest.verdict.standing
    if standing is None or not any(check.risk is not None for check in standing.slo):
        return ""
    return f"Estimated chance that a further run breaks an SLO: {percent(standing.risk)}"
