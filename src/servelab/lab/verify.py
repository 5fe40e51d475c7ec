"""The last act of a search: the best few and the default, measured again in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from servelab.lab.suggest import candidates
from servelab.spec.study import Study
from servelab.spec.trial import Trial


@dataclass(frozen=True)
class Retest:
    """A trial to be measured again in a round."""

    trial: Trial
    round: int


def retests(study: Study, trials: Sequence[Trial]) -> list[Retest]:
    """The verification trials in the order they are to run: round by round, everyone in each.

    Interleaving keeps a slow drift of the machine from favouring one configuration; the order turns from round
    to round, so that none is always the first. Empty when no configuration is worth verifying.
    """
    best = candidates(study, trials)
    default = [trial for trial in trials if trial.kind == "baseline" and trial.state == "complete"]
    field = default + best
    if not best:
        return []
    rounds = range(study.budget.verification.rounds)
    return [Retest(field[(place + turn) % len(field)], turn) for turn in rounds for place in range(len(field))]
