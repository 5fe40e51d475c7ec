"""Explicit treatments, in the order of the study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from servelab.search.base import Problem
from servelab.search.draw import key
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters


class Treatments:
    """Tries the study's treatments one after the other; one that is listed twice is tried twice."""

    name: ClassVar[str] = "treatments"

    def __init__(self, problem: Problem) -> None:
        self._treatments = problem.treatments
        self._told: list[Parameters] = []

    def tell(self, observation: Observation) -> None:
        """Remember what was tried."""
        self._told.append(observation.parameters)

    def ask(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        """The first treatment that was tried less often than it is listed before and at its place."""
        spent = Counter(key(parameters) for parameters in [*self._told, *pending])
        for treatment in self._treatments:
            if not spent[key(treatment)]:
                return treatment
            spent[key(treatment)] -= 1
        return None
