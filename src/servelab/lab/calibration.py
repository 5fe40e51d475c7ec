"""A prior whose step times are corrected by the trials already measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from servelab.spec.assess import Observation, Prediction
from servelab.spec.base import Parameters

OFF = 0.15  # what a prediction of the right step times may be off by, as a log ratio: the form is simple
STRAY = 0.5  # how far a factor may be from 1, as a log ratio: two thirds lie within
STEPS = (1e-3,)
NEWEST = 40  # trials that are learned from


class Adjustable(Protocol):
    """A prior with factors on its coefficients."""

    @property
    def factors(self) -> tuple[float, ...]:
        """All 1 before anything is measured."""
        ...

    def with_factors(self, factors: Iterable[float]) -> Self:
        """The same with other factors."""
        ...

    def __call__(self, parameters: Parameters) -> Prediction:
        """What is predicted."""
        ...


P = TypeVar("P", bound=Adjustable)


def calibrated(prior: P, observations: Sequence[Observation]) -> P:
    """The prior with the factors that fit what was measured best, and are near 1 (maximum a posteriori, robustly)."""
    from scipy.optimize import least_squares

    known = (one for one in observations if one.metrics and not one.partial)
    measured = sorted(known, key=lambda one: one.number)[-NEWEST:]
    if not measured:
        return prior

    def misfit(logs: Any) -> Any:
        told = prior.with_factors(np.exp(logs))
        off = [ratio / OFF for one in measured for ratio in _ratios(told(one.parameters), one)]
        return np.array([*off, *(logs / STRAY)])

    start = np.zeros(len(prior.factors))
    found = least_squares(misfit, start, loss="soft_l1", bounds=(-4 * STRAY, 4 * STRAY), max_nfev=25, diff_step=STEPS)
    return prior.with_factors(np.exp(found.x))


def _ratios(told: Prediction, found: Observation) -> list[float]:
    """Logarithms of predicted over measured, always as many for one observation."""
    ratios = []
    for key, value in found.metrics.items():
        predicted = told.metrics.get(key.partition("@")[0])
        known = predicted is not None and predicted > 0 and value > 0
        ratios.append(math.log(predicted / value) if known and predicted is not None else 0.0)
    return ratios
