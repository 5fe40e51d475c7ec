"""The sampler for dear trials: Gaussian processes on what is measured, on the residual to what is known.

What a trial is worth is the improvement it promises under the constraints, times the probability that it runs.
See docs/search.md for the reasons, and benchmarks/search for what it reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from servelab.search.base import Problem
from servelab.search.codes import Codes
from servelab.search.draw import draw_new, key, rng_for
from servelab.search.gaussian import Array
from servelab.search.knowledge import Knowledge, learn
from servelab.search.memory import Memory, searched_space
from servelab.search.predictions import Predictions
from servelab.search.utility import expected_improvement, samples
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters

DRAWN = 400  # candidates from anywhere
BRED = 60  # candidates around each promising configuration
PARENTS = 8  # promising configurations that candidates are bred around
ROUNDS = 2  # generations bred around the best candidates
SURE = 0.6
STEEP = 0.06  # how sharply that begins


class Auto:
    """Suggests the configuration that promises most."""

    name: ClassVar[str] = "auto"

    def __init__(self, problem: Problem) -> None:
        self._memory = Memory(problem)
        self._space = searched_space(problem, self.name)
        self._codes = Codes(self._space)
        self._predictions = Predictions(problem.prior, self._codes)

    def tell(self, observation: Observation) -> None:
        """Learn from a finished trial."""
        self._memory.tell(observation)

    def ask(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        """The most promising configuration that was not tried; None when none is left."""
        problem = self._memory.problem
        rng = np.random.default_rng([problem.seed, number])
        known = learn(problem, self._codes, self._predictions, self._memory.observations, pending, rng)
        taken = self._memory.taken(pending)
        rows = self._codes.draw(DRAWN, rng)
        if len(known.promising):
            parents = np.repeat(known.promising[:PARENTS], BRED, axis=0)
            rows = np.concatenate([rows, self._codes.mutate(parents, rng)])
        scores = self._scores(known, rows, rng)
        for _ in range(ROUNDS):
            best = rows[np.argsort(-scores, kind="stable")[:PARENTS]]
            bred = self._codes.mutate(np.repeat(best, BRED // 2, axis=0), rng)
            rows = np.concatenate([rows, bred])
            scores = np.concatenate([scores, self._scores(known, bred, rng)])
        for index in np.argsort(-scores, kind="stable"):
            found = self._codes.parameters(rows[index])
            if key(found) not in taken:
                return found
        return draw_new(self._space, rng_for(problem.seed, number), taken)

    def _scores(self, known: Knowledge, rows: Array, rng: np.random.Generator) -> Array:
        """What each row is worth, shape (n,)."""
        runs = known.runs(rows)
        caution = 1 / (1 + np.exp(-(runs - SURE) / STEEP))
        drawn = samples(known.beliefs(rows), np.random.default_rng(known.sampling_seed))
        value = known.goal.value(drawn, known.ideal, known.span)
        gain = expected_improvement(value, known.goal.violation(drawn), known.best, known.least)
        # Where nothing promises anything, the likeliest to run goes first.
        return (gain + 1e-12) * runs * caution
