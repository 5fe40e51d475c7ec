"""What a study does next, decided from what the store holds and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from servelab.lab.accelerators.count import accelerator_count
from servelab.spec.study import Study
from servelab.spec.trial import Trial, TrialKind

SAME_CAUSE_LIMIT = 3
"""An explicit design is given up when its first trials, this many, all fail for one cause."""


@dataclass(frozen=True)
class Try:
    """Add a trial: the baseline, or whatever the sampler suggests."""

    kind: TrialKind


@dataclass(frozen=True)
class Wait:
    """Others are at work whose outcome decides what follows."""


@dataclass(frozen=True)
class Verify:
    """The search is over: add the verification trials."""

    reason: str


@dataclass(frozen=True)
class End:
    """Nothing is left to do."""

    state: Literal["complete", "failed"]
    reason: str


Step = Try | Wait | Verify | End


def next_step(study: Study, trials: Sequence[Trial], exhausted: bool) -> Step:
    """Decide the next step; ``exhausted`` says that the sampler has nothing more to suggest."""
    searched = [trial for trial in trials if trial.kind != "verification"]
    verifying = [trial for trial in trials if trial.kind == "verification"]
    if verifying:
        return End("complete", "verified") if all(t.final for t in verifying) else Wait()
    if not searched:
        return Try("baseline") if has_baseline(study) else Try("search")
    hopeless = _hopeless(study, searched)
    if hopeless:
        return End("failed", hopeless)
    first = searched[0]
    if first.kind == "baseline" and not first.final:
        return Wait()
    spent = _limit_reached(study, searched)
    if spent is None and not exhausted:
        return Try("search")
    if not all(trial.final for trial in searched):
        return Wait()
    reason = spent or "every configuration was tried"
    if not any(trial.state == "complete" for trial in searched):
        return End("failed", f"no trial could be measured ({reason})")
    return Verify(reason) if study.objectives and study.budget.verification.top else End("complete", reason)


def has_baseline(study: Study) -> bool:
    """Whether the study compares with a default: always for a search, in a design when it names one."""
    return study.space is not None or bool(study.baseline) or not study.design


def _hopeless(study: Study, searched: Sequence[Trial]) -> str | None:
    """Why the study is not worth going on with, or None."""
    first = searched[0]
    if first.kind == "baseline" and first.state == "failed" and first.failure:
        away = first.failure.transient or first.failure.kind == "unreachable"
        said = "could not be tried" if away else "does not run"
        return f"the default configuration {said} ({first.failure.message})"
    opening = searched[:SAME_CAUSE_LIMIT]
    causes = {trial.failure.cause if trial.state == "failed" and trial.failure else None for trial in opening}
    if len(opening) == SAME_CAUSE_LIMIT and len(causes) == 1 and None not in causes and first.failure:
        return f"the first {SAME_CAUSE_LIMIT} trials all failed alike ({first.failure.message})"
    return None


def _limit_reached(study: Study, searched: Sequence[Trial]) -> str | None:
    """Which limit of the budget is used up, or None."""
    budget = study.budget
    planned = planned_trials(study)
    if len(searched) >= planned:
        return f"all {planned} trials are done" if planned > 1 else "its one trial is done"
    if budget.wall_time is not None and wall_time(study, searched) >= budget.wall_time:
        return f"the wall time of {budget.wall_time:g} s is used up"
    minutes = accelerator_minutes(study, searched)
    if budget.accelerator_minutes is not None and minutes >= budget.accelerator_minutes:
        return f"{minutes:.0f} of {budget.accelerator_minutes:g} accelerator-minutes are used up"
    return None


def planned_trials(study: Study) -> int:
    """Trials of the search: the budget's; for a design all of it, unless the study says otherwise."""
    if study.space is not None:
        return study.budget.trials
    whole = len(study.design) + has_baseline(study)
    return min(whole, study.budget.trials) if "trials" in study.budget.model_fields_set else whole


def planned_retests(study: Study) -> int:
    """Trials of the verification, at most: the default and the best few, round by round."""
    verification = study.budget.verification
    return (verification.top + 1) * verification.rounds if study.objectives and verification.top else 0


def wall_time(study: Study, trials: Sequence[Trial]) -> float:
    """Seconds of work so far: the trials' own time, shared among those that run at once."""
    return sum(trial.timings.total for trial in trials) / study.budget.parallel


def accelerator_minutes(study: Study, trials: Sequence[Trial]) -> float:
    """Accelerators x minutes that the trials held."""
    return sum(t.timings.total * accelerator_count(study, t.parameters) for t in trials) / 60
