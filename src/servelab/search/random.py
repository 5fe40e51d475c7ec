"""Random search: the yardstick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from servelab.search.base import Problem
from servelab.search.draw import draw_new, rng_for
from servelab.search.memory import Memory, searched_space
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters


class Random:
    """Draws configurations uniformly, none twice."""

    name: ClassVar[str] = "random"

    def __init__(self, problem: Problem) -> None:
        self._memory = Memory(problem)
        self._space = searched_space(problem, self.name)

    def tell(self, observation: Observation) -> None:
        """Remember what was tried."""
        self._memory.tell(observation)

    def ask(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        """A configuration that was not tried; None when there is none left."""
        if number == 0:
            return self._memory.problem.baseline
        return draw_new(self._space, rng_for(self._memory.problem.seed, number), self._memory.taken(pending))
