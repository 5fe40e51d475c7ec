"""What every sampler remembers."""

from __future__ import annotations

from collections.abc import Sequence

from servelab.search.base import Problem
from servelab.search.draw import Key, key
from servelab.spec.assess import Observation, goal_key
from servelab.spec.base import Parameters
from servelab.spec.errors import DocumentError
from servelab.spec.space import Space


class Memory:
    """The observations of a problem, in the order of their numbers whatever order they came in."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._observations: dict[int, Observation] = {}

    def tell(self, observation: Observation) -> None:
        """Learn from a finished trial."""
        self._observations[observation.number] = observation

    @property
    def observations(self) -> list[Observation]:
        """All observations, by number."""
        return [self._observations[number] for number in sorted(self._observations)]

    def taken(self, pending: Sequence[Parameters]) -> set[Key]:
        """The configurations that need not be tried again; after a passing failure one may be."""
        tried = {key(o.parameters) for o in self._observations.values() if not o.transient}
        return tried | {key(parameters) for parameters in pending} | {key(self.problem.baseline)}


def searched_space(problem: Problem, sampler: str) -> Space:
    """The space of a problem.

    Raises:
        DocumentError: the study has none.
    """
    if problem.space is None:
        raise DocumentError((f"sampler {sampler} searches a space, and the study has none",), "Add `space:`.")
    return problem.space


def measured(problem: Problem, observation: Observation) -> bool:
    """Whether the configuration ran and every goal's value is known."""
    keys = [goal_key(objective) for objective in problem.objectives]
    keys += [goal_key(constraint) for constraint in problem.constraints]
    return observation.cause is None and all(key in observation.metrics for key in keys)


def violations(problem: Problem, observation: Observation) -> list[float]:
    """By how much each constraint is missed, as a share of its bound; wholly where it was not measured."""
    found = [(constraint, observation.metrics.get(goal_key(constraint))) for constraint in problem.constraints]
    return [1.0 if value is None else constraint.violation(value) for constraint, value in found]


def values(problem: Problem, observation: Observation) -> list[float] | None:
    """The objectives, so that more is better; None when one was not measured."""
    found = [observation.metrics.get(goal_key(objective)) for objective in problem.objectives]
    signed = [
        value if objective.direction == "maximize" else -value
        for objective, value in zip(problem.objectives, found, strict=True)
        if value is not None
    ]
    return signed if len(signed) == len(problem.objectives) else None
