"""Tree-structured Parzen estimators, by optuna."""

from __future__ import annotations

from typing import ClassVar

from optuna.samplers import BaseSampler, TPESampler

from servelab.search.optuna_study import OptunaSearch


class TPE(OptunaSearch):
    """Optuna's TPESampler, multivariate, with constraints."""

    name: ClassVar[str] = "tpe"

    def sampler(self, seed: int) -> BaseSampler:
        """Optuna's sampler, seeded for one suggestion."""
        return TPESampler(seed=seed, multivariate=True)
