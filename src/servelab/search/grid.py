"""Grid search: every configuration, in an order drawn by lot."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from servelab.search.base import Problem
from servelab.search.draw import enumerate_space, key
from servelab.search.memory import Memory, searched_space
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters
from servelab.spec.errors import DocumentError
from servelab.spec.space import FloatParameter

LARGEST = 1_000_000  # configurations


class Grid:
    """Tries every configuration once. The order is shuffled, so that a small budget does not see one corner only."""

    name: ClassVar[str] = "grid"

    def __init__(self, problem: Problem) -> None:
        space = searched_space(problem, self.name)
        continuous = [name for name, parameter in space.parameters.items() if isinstance(parameter, FloatParameter)]
        if continuous:
            raise DocumentError(
                (f"a grid cannot hold {', '.join(continuous)}, which has no steps",),
                "List its values as choices, or use another sampler.",
            )
        if space.size > LARGEST:
            raise DocumentError(
                (f"the grid has up to {space.size:,} configurations",), "Give fewer values, or use another sampler."
            )
        self._memory = Memory(problem)
        self._order = enumerate_space(space)
        random.Random(problem.seed).shuffle(self._order)

    def tell(self, observation: Observation) -> None:
        """Remember what was tried."""
        self._memory.tell(observation)

    def ask(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        """The first configuration in the order that was not tried."""
        taken = self._memory.taken(pending)
        return next((parameters for parameters in self._order if key(parameters) not in taken), None)
