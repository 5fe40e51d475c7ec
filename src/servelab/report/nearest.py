"""What came nearest to a goal that nothing met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servelab.report.words import listed, metric_text
from servelab.spec.assess import assess_reports, constraint_value
from servelab.spec.base import Spec
from servelab.spec.goal import Constraint
from servelab.spec.metrics import format_metric
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.trial import Trial


class Nearest(Spec):
    """The best value of a constraint's metric that any configuration reached."""

    constraint: Constraint
    value: float
    trial: int

    @property
    def met(self) -> bool:
        """Whether that value keeps the constraint."""
        return self.constraint.violation(self.value) <= 0


def reports_by_configuration(trials: Sequence[Trial]) -> Mapping[int, tuple[Report, ...]]:
    """Number of the first trial of each configuration -> its reports: those of the re-tests where there are some.

    Trials that were stopped early count only when nothing ran to its end.
    """
    retests: dict[int, tuple[Report, ...]] = {}
    for trial in trials:
        if trial.kind == "verification" and trial.verifies is not None and trial.state == "complete":
            retests[trial.verifies] = retests.get(trial.verifies, ()) + trial.reports
    searched = [trial for trial in trials if trial.kind != "verification" and trial.reports]
    ended = [trial for trial in searched if trial.state == "complete"] or searched
    return {trial.number: retests.get(trial.number, trial.reports) for trial in ended}


def nearest_bounds(study: Study, trials: Sequence[Trial]) -> tuple[Nearest, ...]:
    """For each constraint, the best value reached; measurements one can trust go first."""
    by_trial = _trusted_first(reports_by_configuration(trials))
    found = []
    for constraint in study.constraints:
        values = {number: constraint_value(constraint, reports) for number, reports in by_trial.items()}
        known = {number: value for number, value in values.items() if value is not None}
        if known:
            number = min(known, key=lambda n: constraint.violation(known[n]))
            found.append(Nearest(constraint=constraint, value=known[number], trial=number))
    return tuple(found)


def least_violating(study: Study, trials: Sequence[Trial]) -> int | None:
    """The configuration whose worst violation is the smallest; None when no constraint was measured."""
    worst = {}
    for number, reports in _trusted_first(reports_by_configuration(trials)).items():
        violations = [v for v in assess_reports(study, reports).violations if v is not None]
        if len(violations) == len(study.constraints) and violations:
            worst[number] = max(violations)
    return min(worst, key=lambda number: worst[number]) if worst else None


def _trusted_first(by_trial: Mapping[int, tuple[Report, ...]]) -> Mapping[int, tuple[Report, ...]]:
    trusted = {number: reports for number, reports in by_trial.items() if all(report.trusted for report in reports)}
    return trusted or by_trial


def nearest_sentence(found: Sequence[Nearest]) -> str:
    """What would have been possible, in words; empty when nothing was measured."""
    missed = [nearest for nearest in found if not nearest.met]
    if missed:
        reached = [
            f"the nearest to {n.constraint} was {format_metric(n.constraint.metric, n.value)} (trial {n.trial})"
            for n in missed
        ]
        return f"{listed(reached).capitalize()}."
    if found:
        each = [f"{metric_text(n.constraint.metric, n.value)} (trial {n.trial})" for n in found]
        return f"Each can be met alone, though not together: {listed(each)}."
    return ""
