"""Which trials a verdict rests on, so that a study of ten thousand is judged without reading all that it measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from servelab.spec.assess import goal_key
from servelab.spec.study import Study

MOST = 200  # of the search that are read


class Tried(Protocol):
    """What is known of a trial without its measurements."""

    @property
    def number(self) -> int:
        """Its number in the study."""
        ...

    @property
    def kind(self) -> str:
        """baseline, search or verification."""
        ...

    @property
    def verifies(self) -> int | None:
        """The trial that it measures again."""
        ...

    @property
    def state(self) -> str:
        """How far it is."""
        ...

    @property
    def outcome(self) -> Mapping[str, float]:
        """Objectives and constraints by ``goal_key``."""
        ...


def decisive(study: Study, trials: Sequence[Tried]) -> list[int]:
    """Numbers of the trials whose measurements ``conclude`` needs: all of a small study.

    Of a large one: the default, what was measured again and its re-tests, and the best of the search: what keeps
    every SLO first, or comes nearest to it, then by the first objective.
    """
    if len(trials) <= MOST or not study.objectives:
        return [trial.number for trial in trials]
    retests = [trial for trial in trials if trial.kind == "verification"]
    known = [trial for trial in trials if trial.kind == "search" and goal_key(study.objectives[0]) in trial.outcome]
    ended = [trial for trial in known if trial.state == "complete"] or known
    best = sorted(ended, key=lambda trial: _merit(study, trial.outcome))[:MOST]
    chosen = {trial.number for trial in (*retests, *best)} | {trial.number for trial in trials[: MOST // 10]}
    chosen |= {trial.verifies for trial in retests if trial.verifies is not None}
    return sorted(chosen | {trial.number for trial in trials if trial.kind == "baseline"})


def _merit(study: Study, outcome: Mapping[str, float]) -> tuple[float, float]:
    """Smaller is better: the worst violation of an SLO, then the first objective."""
    objective = study.objectives[0]
    missed = [max(0.0, c.violation(outcome[goal_key(c)])) for c in study.constraints if goal_key(c) in outcome]
    value = outcome[goal_key(objective)]
    return (max(missed, default=0.0), -value if objective.direction == "maximize" else value)
