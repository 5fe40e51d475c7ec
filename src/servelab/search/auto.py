"""The sampler for dear trials: Gaussian processes on what is measured, on the residual to what is known.

What a trial is worth is the improvement it promises under the constraints, times the probability that it runs.
See docs/search.md for the reasons, and benchmarks/search for what it reaches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from threadpoolctl import ThreadpoolController

from servelab.search.base import Problem
from servelab.search.codes import Codes
from servelab.search.draw import draw_new, key, rng_for
from servelab.search.gaussian import Array
from servelab.search.knowledge import Knowledge, Standing, learn
from servelab.search.memory import Memory, searched_space
from servelab.search.predictions import Predictions
from servelab.search.utility import log_improvement
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters

DRAWN = 400  # candidates from anywhere
BRED = 128  # candidates in each generation bred from promising ones
PARENTS = 8
ROUNDS = 6
CAUTION = 2.0  # a crash costs more than the trial: its cause must be understood, and the next may be the same
STRICTNESS = 2.0  # caution grows with this power of the crashes over those allowed: the first teach most
MATERIAL = 1e-4  # expected improvements below this share are worth the same: nothing is risked for them


class Auto:
    """Suggests the configuration that promises most."""

    name: ClassVar[str] = "auto"

    def __init__(self, problem: Problem) -> None:
        self._memory = Memory(problem)
        self._space = searched_space(problem, self.name)
        self._codes = Codes(self._space)
        self._predictions = Predictions(problem.prior, self._codes)
        self._threads = ThreadpoolController()

    def tell(self, observation: Observation) -> None:
        """Learn from a finished trial."""
        self._memory.tell(observation)

    def ask(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        """The most promising configuration that was not tried; None when none is left."""
        if number == 0:
            return self._memory.problem.baseline
        # The matrices are small: further threads only wait for one another, and spin while an engine needs the cores.
        with self._threads.limit(limits=1, user_api="blas"):
            return self._best(number, pending)

    def _best(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        problem = self._memory.problem
        rng = np.random.default_rng([problem.seed, number])
        weights = rng.dirichlet(np.ones(max(1, len(problem.objectives))))
        known, standing = learn(problem, self._codes, self._predictions, self._memory.observations, pending, weights)
        taken = self._memory.taken(pending)
        rows = self._codes.draw(DRAWN, rng)
        if len(standing.promising):
            parents = np.repeat(standing.promising[:PARENTS], BRED // PARENTS, axis=0)
            rows = np.concatenate([rows, self._codes.mutate(parents, rng)])
        scores = _scores(known, standing, rows, number)
        for _ in range(ROUNDS):
            best = rows[np.argsort(-scores, kind="stable")[:PARENTS]]
            bred = self._codes.mutate(np.repeat(best, BRED // PARENTS, axis=0), rng)
            rows = np.concatenate([rows, bred])
            scores = np.concatenate([scores, _scores(known, standing, bred, number)])
        for index in np.argsort(-scores, kind="stable"):
            found = self._codes.parameters(rows[index])
            if key(found) not in taken:
                return found
        return draw_new(self._space, rng_for(problem.seed, number), taken)


def _scores(known: Knowledge, standing: Standing, rows: Array, number: int) -> Array:
    """What each row is worth for trial ``number``, as a logarithm, shape (n,)."""
    caution = CAUTION * max(1.0, known.excess) ** STRICTNESS
    worth = np.asarray(caution * np.log(np.maximum(1e-12, known.runs(rows))))
    if not known.models:
        return worth
    beliefs = known.beliefs(rows)
    promise = np.zeros(len(rows)) + known.goal.log_holds(beliefs)
    if standing.best is not None:
        value = known.goal.believed_value(beliefs, standing.ideal, standing.span, number)
        promise = promise + log_improvement(value, standing.best)
    if standing.feasible:  # until then, the smallest promise shows the way to what may keep the constraints
        promise = np.logaddexp(promise, math.log(MATERIAL))
    return worth + promise
