"""Grid search: every configuration, in an order drawn by lot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from servelab.search.base import Problem
from servelab.search.draw import key
from servelab.search.memory import Memory, searched_space
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters, Value
from servelab.spec.errors import DocumentError
from servelab.spec.space import Space

LARGEST = 5_000_000  # combinations of values


class Grid:
    """Tries every configuration once. The order is shuffled, so that a small budget does not see one corner only."""

    name: ClassVar[str] = "grid"

    def __init__(self, problem: Problem) -> None:
        self._space = searched_space(problem, self.name)
        self._values = _values(self._space)
        self._memory = Memory(problem)
        # Combinations are numbered and listed only when their turn comes: a grid may be large.
        self._order = np.random.default_rng(problem.seed).permutation(int(self._space.size))

    def tell(self, observation: Observation) -> None:
        """Remember what was tried."""
        self._memory.tell(observation)

    def ask(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        """The first configuration in the order that was not tried."""
        if number == 0:
            return self._memory.problem.baseline
        taken = self._memory.taken(pending)
        return next((parameters for parameters in self._configurations() if key(parameters) not in taken), None)

    def _configurations(self) -> Iterator[Parameters]:
        for place in self._order:
            found = self._configuration(int(place))
            if found is not None and self._space.allowed(found):
                yield found

    def _configuration(self, place: int) -> Parameters | None:
        """The combination numbered ``place``; None when it differs from another only where it has no part."""
        found: Parameters = {}
        for name, values in self._values.items():
            place, index = divmod(place, len(values))
            if self._space.active(name, found):
                found[name] = values[index]
            elif index > 0:
                return None
        return found


def _values(space: Space) -> dict[str, tuple[Value, ...]]:
    listed = {name: parameter.values for name, parameter in space.parameters.items()}
    continuous = [name for name, values in listed.items() if values is None]
    if continuous:
        raise DocumentError(
            (f"a grid cannot hold {', '.join(continuous)}, which has no steps",),
            "List its values as choices, or use another sampler.",
        )
    if space.size > LARGEST:
        raise DocumentError(
            (f"the grid has up to {space.size:,} combinations of values",), "Give fewer, or use another sampler."
        )
    return {name: values for name, values in listed.items() if values is not None}
