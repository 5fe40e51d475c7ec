"""Which of the measured configurations to recommend: the one rule for product and benchmark alike.

Only trials that were measured to keep every constraint are eligible. Among them noise flatters the best and excuses
what merely seemed to keep the SLO; so they are ranked by what is expected of them when measured again, a broken
constraint counting as nothing: posterior mean of the objective's logarithm + log P(constraints hold).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from servelab.search.base import Problem
from servelab.search.codes import Codes
from servelab.search.gaussian import Array
from servelab.search.knowledge import learn
from servelab.search.memory import values, violations
from servelab.search.metrics_model import log
from servelab.search.predictions import Predictions
from servelab.search.utility import Goal, frontier
from servelab.spec.assess import Observation


def recommend(problem: Problem, observations: Sequence[Observation], count: int = 0) -> list[int]:
    """The numbers of the trials worth verifying, best first: at most ``count``, or all that are eligible for 0.

    With several objectives, those that no other dominates come first. Empty when none kept the constraints.
    """
    eligible = [o for o in sorted(observations, key=lambda o: o.number) if _eligible(problem, o)]
    if not eligible:
        return []
    expected, hold = _expected(problem, observations, eligible)
    order = sorted(range(len(eligible)), key=lambda i: (-_rank(expected, hold)[i], eligible[i].number))
    return [eligible[i].number for i in order][: count or None]


def _eligible(problem: Problem, observation: Observation) -> bool:
    return (
        observation.cause is None
        and not observation.partial
        and values(problem, observation) is not None
        and all(missed <= 0 for missed in violations(problem, observation))
    )


def _expected(
    problem: Problem, observations: Sequence[Observation], eligible: Sequence[Observation]
) -> tuple[Array, Array]:
    """Per eligible trial: the objectives' logarithms, more is better, (n, k), and log P(constraints hold), (n,)."""
    equal = np.ones(max(1, len(problem.objectives)))
    goal = Goal(problem, equal)
    if problem.space is None:
        measured = {metric: log([o.metrics[metric] for o in eligible]) for metric in goal.keys}
        return goal.signed(measured), np.zeros(len(eligible))
    codes = Codes(problem.space)
    known, _ = learn(
        problem, codes, Predictions(problem.prior, codes), sorted(observations, key=lambda o: o.number), [], equal
    )
    beliefs = known.beliefs(codes.rows([o.parameters for o in eligible]))
    means = {metric: belief.mean for metric, belief in beliefs.items()}
    return goal.signed(means), goal.log_holds(beliefs) + np.zeros(len(eligible))


def _rank(expected: Array, hold: Array) -> Array:
    """A score per trial; with several objectives, a dominated trial scores below all that are not."""
    spread = np.maximum(1e-6, np.ptp(expected, axis=0)) if expected.shape[1] > 1 else np.ones(1)
    score = (expected / spread).mean(axis=1) + hold
    if expected.shape[1] > 1:
        score = score + 1e6 * frontier(list(expected))
    return np.asarray(score)
