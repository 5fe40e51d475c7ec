"""What a sampler is to servelab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

from servelab.spec.assess import Observation, Prior
from servelab.spec.base import Parameters
from servelab.spec.goal import Constraint, Objective
from servelab.spec.plugins import load_plugin
from servelab.spec.space import Space


@dataclass(frozen=True)
class Problem:
    """What is searched, and for what."""

    space: Space | None
    """None for explicit treatments."""
    treatments: tuple[Parameters, ...]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    baseline: Parameters
    """The default configuration, always trial 0; may lie outside the space."""
    seed: int
    trials: int
    """The budget, for samplers that plan ahead."""
    prior: Prior | None = None


class Sampler(Protocol):
    """Suggests configurations and learns from their outcomes.

    The life of a sampler: it is made for a Problem; ``tell`` gives it every finished trial of the store
    (in any order, each number once); ``ask`` is called with the next trial's number. Two samplers that were
    told the same observations answer the same: all randomness comes from (seed, number).
    """

    name: ClassVar[str]

    def tell(self, observation: Observation) -> None:
        """Learn from a finished trial."""
        ...

    def ask(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        """The configuration for trial ``number`` while ``pending`` ones run; None when all has been tried."""
        ...


def sampler(name: str, problem: Problem) -> Sampler:
    """The sampler called ``name`` for a problem.

    Raises:
        NotFoundError: no plug-in of that name.
        DocumentError: the sampler cannot search this problem (say, a grid over a continuous parameter).
    """
    return cast(Sampler, load_plugin("servelab.samplers", name)(problem))
