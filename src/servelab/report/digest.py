"""A finished study as every form of the report needs it, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from servelab.report.nearest import reports_by_configuration
from servelab.report.verdict import Verdict, conclude
from servelab.spec.assess import goal_key
from servelab.spec.base import Spec
from servelab.spec.goal import Constraint, Objective
from servelab.spec.report import Provenance, Report
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord, Trial


class FailureGroup(Spec):
    """Trials that failed for one cause."""

    kind: str
    stage: str
    message: str
    remedy: str
    evidence: str
    trials: tuple[int, ...]


@dataclass(frozen=True)
class Digest:
    """A study, its trials and what they say."""

    record: StudyRecord
    trials: tuple[Trial, ...]
    verdict: Verdict
    failures: tuple[FailureGroup, ...]
    reports: Mapping[int, tuple[Report, ...]]
    """Number of the first trial of each configuration -> its reports, the re-tests' where there are some."""

    @property
    def study(self) -> Study:
        """The study's document."""
        return self.record.study

    @property
    def goals(self) -> tuple[Objective | Constraint, ...]:
        """Objectives and constraints, each metric and level once."""
        goals: tuple[Objective | Constraint, ...] = (*self.study.objectives, *self.study.constraints)
        return tuple({goal_key(goal): goal for goal in goals}.values())

    @property
    def simulated(self) -> bool:
        """Whether any measurement came from the simulated engine."""
        return self.study.simulated or any(p.simulated for p in self._provenance())

    @property
    def provenance(self) -> Provenance | None:
        """Where and how the last measurement was made."""
        found = self._provenance()
        return found[-1] if found else None

    @property
    def seconds(self) -> float:
        """Seconds of work: all trials, shared among those that ran at once."""
        return sum(trial.timings.total for trial in self.trials) / self.study.budget.parallel

    def counts(self) -> dict[str, int]:
        """How many trials ended how, re-tests apart."""
        searched = [trial for trial in self.trials if trial.kind != "verification"]
        found = {state: sum(trial.state == state for trial in searched) for state in ("complete", "stopped", "failed")}
        found["unfinished"] = sum(not trial.final for trial in self.trials)
        found["verification"] = len(self.trials) - len(searched)
        return found

    def trial(self, number: int | None) -> Trial | None:
        """The trial of that number."""
        return next((trial for trial in self.trials if trial.number == number), None)

    def _provenance(self) -> list[Provenance]:
        return [report.provenance for trial in self.trials for report in trial.reports]


def digest(record: StudyRecord, trials: Sequence[Trial]) -> Digest:
    """Compute what a study says."""
    ordered = tuple(sorted(trials, key=lambda trial: trial.number))
    return Digest(record, ordered, conclude(record, ordered), _failures(ordered), reports_by_configuration(ordered))


def _failures(trials: Sequence[Trial]) -> tuple[FailureGroup, ...]:
    """Failed trials by cause, the most frequent first."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.state == "failed" and trial.failure:
            groups.setdefault(trial.failure.cause, []).append(trial)
    found = []
    for members in sorted(groups.values(), key=len, reverse=True):
        failure = members[0].failure
        assert failure is not None  # see above
        found.append(
            FailureGroup(
                **failure.model_dump(include={"kind", "stage", "message", "remedy", "evidence"}),
                trials=tuple(trial.number for trial in members),
            )
        )
    return tuple(found)
