"""Gaussian process regression for few, noisy points with mixed parameters: main effects, pairs, noise.

Logarithms of serving metrics are nearly sums of one effect per parameter, plus what pairs of parameters do together:
the covariance is an additive one of order two (Duvenaud et al. 2011),

    k(x, x') = c^2 + sum_d z_d + q^2 sum_{d<e} z_d z_e,   z_d = a_d^2 k_d(x_d, x'_d),

where k_d is Matern-5/2 for numbers and equality for choices. It learns from a dozen points what one kernel over all
dimensions needs a hundred for. Hyperparameters (a_d, lengthscales, q, the weight of a linear trend, noise) are set by
maximum a posteriori: the marginal likelihood (Rasmussen and Williams 2006, eq. 5.8 and 5.9) under log-normal priors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ITERATIONS = 40
JITTER = 1e-6
SQRT5 = math.sqrt(5.0)
FITTED = 64  # points that hyperparameters are fitted to; predictions use all

LENGTH = 0.5
LENGTH_SPREAD = 0.7  # of a number's scale
EFFECT_SPREAD = 0.6  # how unequal the parameters' effects may be
CHOICE = 2.0  # effect of a choice over that of a number: each value of it is code of its own
PAIRS, PAIRS_SPREAD = 0.5, 0.7
NOISE_SPREAD = 0.7
TREND_SPREAD = 1.0


@dataclass(frozen=True)
class Points:
    """Rows (n, width), NaN where a parameter is inactive, and which columns are choices."""

    rows: Array
    choices: Mask

    def to(self, other: Points) -> Gaps:
        """How far each of these is from each of the others."""
        a, b = self.rows.T[:, :, None], other.rows.T[:, None, :]
        choices = self.choices[:, None, None]
        missing = np.isnan(a) | np.isnan(b)
        apart = np.abs(a - b)
        both_missing = np.isnan(a) & np.isnan(b)
        alike = np.where(missing, both_missing, ~choices | (apart == 0))
        return Gaps(np.where(missing | choices, 0.0, apart), alike.astype(float), self.choices)


@dataclass(frozen=True)
class Gaps:
    """Between two sets of points, per column, shape (width, n, m)."""

    apart: Array
    """Distance of numbers; 0 for choices."""
    alike: Array
    """1 where choices are equal and numbers comparable, else 0."""
    choices: Mask
    """Which columns are choices, shape (width,)."""


@dataclass(frozen=True)
class Hyperparameters:
    """Logarithms of effects and lengthscales, shape (width,), of the pairs' and the trend's weight and of the noise."""

    effects: Array
    lengths: Array
    pairs: float
    trend: float
    noise: float

    @classmethod
    def unpack(cls, theta: Array) -> Hyperparameters:
        """From one vector."""
        width = (len(theta) - 3) // 2
        return cls(theta[:width], theta[width : 2 * width], *map(float, theta[-3:]))


class GaussianProcess:
    """A fitted process; predicts mean and standard deviation of the noise-free function."""

    def __init__(self, gaps: Gaps, y: Array, noise: float, extra: Array, trend: Array | None = None) -> None:
        """Fit to ``gaps`` of the points among themselves and their values ``y`` (n,), of about unit spread.

        ``noise``: the median of what is believed of its deviation; ``extra``: further noise variance per point (n,);
        ``trend``: columns (n, k) with a linear effect on top, of coefficients of about unit spread.
        """
        width = len(gaps.apart)
        self._trend = trend
        share = np.where(gaps.choices, CHOICE, 1.0)
        self._center = np.concatenate(
            [
                np.log(share) - 0.5 * math.log(np.sum(share**2)),
                np.full(width, math.log(LENGTH)),
                [math.log(PAIRS), 0.0, math.log(noise)],
            ]
        )
        self._spread = np.concatenate(
            [np.full(width, EFFECT_SPREAD), np.full(width, LENGTH_SPREAD), [PAIRS_SPREAD, TREND_SPREAD, NOISE_SPREAD]]
        )
        linear = np.zeros((len(y), len(y))) if trend is None else trend @ trend.T
        base = 1.0 + np.diag(extra + JITTER)
        theta = self._fit(gaps, base, linear, y)
        self._hyper = Hyperparameters.unpack(theta)
        kernel = base + np.exp(2 * self._hyper.trend) * linear + self._covariance(gaps)
        kernel[np.diag_indices_from(kernel)] += np.exp(2 * self._hyper.noise)
        self._factor = cho_factor(kernel, lower=True)
        self._weights = cho_solve(self._factor, y)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise."""
        return float(np.exp(self._hyper.noise))

    def predict(self, gaps: Gaps, trend: Array | None = None) -> tuple[Array, Array]:
        """Mean and standard deviation at points, shapes (m,), from their gaps to the points of the fit."""
        cross = 1.0 + self._covariance(gaps)
        variance = self._variance()
        if trend is not None and self._trend is not None:
            weight = np.exp(2 * self._hyper.trend)
            cross = cross + weight * (trend @ self._trend.T)
            variance = variance + weight * np.sum(trend * trend, axis=1)
        solved = solve_triangular(self._factor[0], cross.T, lower=True)
        variance = variance - np.sum(solved * solved, axis=0)
        return cross @ self._weights, np.sqrt(np.maximum(variance, 1e-8))

    def _variance(self) -> Array:
        effects = np.exp(2 * self._hyper.effects)
        total = effects.sum()
        pairs = 0.5 * np.exp(2 * self._hyper.pairs) * (total**2 - np.sum(effects**2))
        return np.asarray(1.0 + total + pairs)

    def _covariance(self, gaps: Gaps) -> Array:
        z, _ = _effects(gaps, self._hyper)
        total = z.sum(axis=0)
        return np.asarray(total + _pairs(z, total, self._hyper))

    def _fit(self, gaps: Gaps, base: Array, linear: Array, y: Array) -> Array:
        chosen = np.unique(np.linspace(0, len(y) - 1, min(len(y), FITTED)).astype(int))
        square = np.ix_(chosen, chosen)
        every = np.arange(len(gaps.apart))
        cube = np.ix_(every, chosen, chosen)
        fewer = Gaps(gaps.apart[cube], gaps.alike[cube], gaps.choices)
        found = minimize(
            self._loss,
            self._center,
            args=(fewer, base[square], linear[square], y[chosen]),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": ITERATIONS},
            bounds=[(c - 4 * s, c + 4 * s) for c, s in zip(self._center, self._spread, strict=True)],
        )
        return np.asarray(found.x)

    def _loss(self, theta: Array, gaps: Gaps, base: Array, linear: Array, y: Array) -> tuple[float, Array]:
        """Negative log posterior of the hyperparameters, and its gradient."""
        hyper = Hyperparameters.unpack(theta)
        z, slope = _effects(gaps, hyper)
        weight, noise = np.exp(2 * hyper.pairs), np.exp(2 * hyper.noise)
        total = z.sum(axis=0)
        pairs = _pairs(z, total, hyper)
        trend = np.exp(2 * hyper.trend) * linear
        kernel = base + trend + total + pairs
        kernel[np.diag_indices_from(kernel)] += noise
        try:
            factor = cho_factor(kernel, lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        weights = cho_solve(factor, y)
        deviation = (theta - self._center) / self._spread
        loss = 0.5 * y @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * deviation @ deviation
        inner = 0.5 * (cho_solve(factor, np.eye(len(y))) - np.outer(weights, weights))
        # d k / d z_d = 1 + q^2 (sum of the other z)
        by_z = inner * (1.0 + weight * total) - weight * inner * z
        by_effect = 2.0 * np.einsum("dij,dij->d", z, by_z)
        by_length = np.einsum("dij,dij->d", slope, by_z)
        ends = [2 * np.sum(inner * pairs), 2 * np.sum(inner * trend), 2 * noise * np.trace(inner)]
        return float(loss), np.concatenate([by_effect, by_length, ends]) + deviation / self._spread


def _effects(gaps: Gaps, hyper: Hyperparameters) -> tuple[Array, Array]:
    """z_d per column, shape (width, n, m), and its derivative by the logarithm of the lengthscale."""
    r = SQRT5 * gaps.apart * np.exp(-hyper.lengths)[:, None, None]
    decay = gaps.alike * np.exp(2 * hyper.effects)[:, None, None] * np.exp(-r)
    return decay * (1.0 + r + r * r / 3.0), decay * (1.0 + r) * r * r / 3.0


def _pairs(z: Array, total: Array, hyper: Hyperparameters) -> Array:
    """The sum over pairs of columns, by Newton's identity."""
    return np.asarray(0.5 * np.exp(2 * hyper.pairs) * (total * total - np.einsum("dij,dij->ij", z, z)))
