"""What is believed of each metric at each configuration: a Gaussian process on its logarithm.

With a prior, the process models the residual: the logarithm of measured over predicted. How far a residual may
stray is learned from the residuals themselves, so that a poor prior is outvoted after a few trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servelab.search.gaussian import Array, Beliefs, GaussianProcess

TINY = 1e-9  # metrics are positive; zero goodput, say, counts as this
NOISE = 0.05  # what a repeated measurement differs by, as a share: the median of the belief
PARTIAL_NOISE = 0.15  # further noise of a short measurement
RESIDUAL = 0.3  # how far a prior may be off, as a log ratio: the median of the belief


@dataclass(frozen=True)
class Belief:
    """Mean and standard deviation of a metric's logarithm at some rows, noise left out; shapes (n,)."""

    mean: Array
    deviation: Array


class MetricModel:
    """Learns one metric from rows (n, width), its logarithms (n,), and what the prior said of them (n,) or None."""

    def __init__(
        self, rows: Array, logs: Array, partial: NDArray[np.bool_], prior: Array | None, categorical: NDArray[np.bool_]
    ) -> None:
        residual = logs if prior is None else logs - prior
        self._shift = float(np.median(residual)) if prior is None else 0.0
        spread = float(np.std(residual))
        scale = max(RESIDUAL, spread) if prior is None else RESIDUAL
        beliefs = Beliefs(amplitude=scale, noise=NOISE, constant=scale)
        extra = np.where(partial, PARTIAL_NOISE**2, 0.0)
        self._process = GaussianProcess(rows, residual - self._shift, categorical, beliefs, extra)

    def predict(self, rows: Array, prior: Array | None) -> Belief:
        """The belief at ``rows``, given what the prior says of them."""
        mean, deviation = self._process.predict(rows)
        return Belief(mean + self._shift + (0.0 if prior is None else prior), deviation)


def log(values: Sequence[float]) -> Array:
    """Logarithms of metric values."""
    return np.array([math.log(max(TINY, value)) for value in values])
