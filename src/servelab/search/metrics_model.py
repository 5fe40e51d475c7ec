"""What is believed of each metric at each configuration: a Gaussian process on its logarithm.

With a prior, the process models the residual: the logarithm of measured over predicted. How far residuals stray, and
how steeply the truth follows the prediction, is learned from the residuals: a poor prior is soon outvoted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from servelab.search.gaussian import Array, Gaps, GaussianProcess, Mask

TINY = 1e-9  # metrics are positive; zero goodput, say, counts as this
NOISE = 0.05  # what a repeated measurement differs by, as a share: the median of the belief
PARTIAL_NOISE = 0.15  # further noise of a short measurement
SPREAD, RESIDUAL = 0.7, 0.4  # how far a metric, and a prior's error, stray before any is seen: as log ratios
WORTH = 4  # observations that this belief is worth
SLOPE = 0.3  # how far the slope of truth over prediction may be from 1


@dataclass(frozen=True)
class Belief:
    """Mean and standard deviation of a metric's logarithm at some rows, noise left out; shapes (n,)."""

    mean: Array
    deviation: Array
    noise: float = 0.0
    """Standard deviation of one measurement."""


class MetricModel:
    """Learns one metric from points, given by their gaps.

    Of each point: the metric's logarithm, whether it is of a short measurement, and the logarithm that the prior
    predicted, NaN for nothing; shapes (n,).
    """

    def __init__(self, gaps: Gaps, logs: Array, partial: Mask, prior: Array) -> None:
        known = ~np.isnan(prior)
        self._center = float(np.median(prior[known])) if known.any() else None
        residual = logs - self._predicted(prior)
        self._shift = float(np.median(residual)) if self._center is None else 0.0
        believed = SPREAD if self._center is None else RESIDUAL
        spread = np.sum((residual - self._shift) ** 2)
        self._scale = math.sqrt((spread + WORTH * believed**2) / (len(logs) + WORTH))
        extra = np.where(partial, (PARTIAL_NOISE / self._scale) ** 2, 0.0)
        y = (residual - self._shift) / self._scale
        self._process = GaussianProcess(gaps, y, NOISE / self._scale, extra, self._trend(prior))

    def predict(self, gaps: Gaps, prior: Array) -> Belief:
        """The belief at points, from their gaps to those learned from and what the prior says of them."""
        mean, deviation = self._process.predict(gaps, self._trend(prior))
        return Belief(
            mean * self._scale + self._shift + self._predicted(prior),
            deviation * self._scale,
            self._process.noise * self._scale,
        )

    def _predicted(self, prior: Array) -> Array:
        return np.zeros(len(prior)) if self._center is None else np.where(np.isnan(prior), self._center, prior)

    def _trend(self, prior: Array) -> Array | None:
        """Linear effects on the residual: of the prediction, and of there being none."""
        if self._center is None:
            return None
        slope = SLOPE * (self._predicted(prior) - self._center) / self._scale
        return np.stack([slope, np.isnan(prior).astype(float)], axis=1)


def log(values: Sequence[float]) -> Array:
    """Logarithms of metric values."""
    return np.array([math.log(max(TINY, value)) for value in values])
