"""Non-dominated sorting genetic algorithm II, by optuna."""

from __future__ import annotations

from typing import Any, ClassVar

from optuna.samplers import BaseSampler, NSGAIISampler

from servelab.search.optuna_study import OptunaSearch

POPULATION = 10  # trials are dear, so generations are small


class NSGA2(OptunaSearch):
    """Optuna's NSGAIISampler, with constraints."""

    name: ClassVar[str] = "nsga2"

    def sampler(self, seed: int) -> BaseSampler:
        """Optuna's sampler, seeded for one suggestion."""
        return NSGAIISampler(seed=seed, population_size=POPULATION)

    def marks(self, number: int) -> dict[str, Any]:
        """The generation of a trial, which optuna keeps in an attribute that it names itself."""
        return {NSGAIISampler._get_generation_key(): number // POPULATION}
