"""Gaussian process regression for few, noisy points with mixed parameters.

Kernel: sigma^2 * Matern-5/2 of the scaled distance r, r^2 = sum_d (delta_d / l_d)^2, where delta is the difference of
numbers, and 0 or 1 for choices (equal or not). Plus a constant of variance 1 and white noise. Hyperparameters by
maximum a posteriori: the marginal likelihood (Rasmussen and Williams 2006, eq. 5.8) with log-normal priors; the
lengthscales' prior grows with the square root of the dimension (Hvarfner et al. 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

ITERATIONS = 30
JITTER = 1e-8
SQRT5 = math.sqrt(5.0)


def differences(a: Array, b: Array, categorical: NDArray[np.bool_]) -> Array:
    """Squared differences of rows, shape (len(a), len(b), width); NaN (inactive) differs from any value by 1."""
    gap = a[:, None, :] - b[None, :, :]
    nan = np.isnan(a)[:, None, :] != np.isnan(b)[None, :, :]
    squared = np.where(categorical, (gap != 0).astype(float), gap * gap)
    squared = np.where(nan, 1.0, squared)
    return np.where(np.isnan(a)[:, None, :] & np.isnan(b)[None, :, :], 0.0, squared)


@dataclass(frozen=True)
class Beliefs:
    """Log-normal priors: medians and spreads of the amplitude and the noise, in units of the (scaled) data."""

    amplitude: float = 1.0
    amplitude_spread: float = 0.7
    noise: float = 0.1
    noise_spread: float = 1.0
    constant: float = 1.0
    """Standard deviation of the constant mean."""


class GaussianProcess:
    """A fitted process; predicts mean and standard deviation of the noise-free function."""

    def __init__(self, x: Array, y: Array, categorical: NDArray[np.bool_], beliefs: Beliefs, extra: Array) -> None:
        """``extra``: additional noise variance of each point, shape (n,)."""
        self._x, self._categorical, self._beliefs = x, categorical, beliefs
        self._d2 = differences(x, x, categorical)
        self._y, self._extra = y, extra
        width = x.shape[1]
        self._center = np.concatenate(
            [
                np.full(width, 0.5 * math.log(width) + 0.2),
                [math.log(beliefs.amplitude), math.log(beliefs.noise)],
            ]
        )
        self._spread = np.concatenate([np.full(width, 1.0), [beliefs.amplitude_spread, beliefs.noise_spread]])
        found = minimize(
            self._loss,
            self._center,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": ITERATIONS},
            bounds=[(c - 3 * s, c + 3 * s) for c, s in zip(self._center, self._spread, strict=True)],
        )
        self._theta: Array = found.x
        kernel, _ = self._kernel(self._theta)
        self._factor = cho_factor(kernel, lower=True)
        self._weights = cho_solve(self._factor, y)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise."""
        return float(np.exp(self._theta[-1]))

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at rows ``x``, shapes (n,)."""
        cross = self._covariance(differences(x, self._x, self._categorical), self._theta)[0]
        cross = cross + self._beliefs.constant**2
        mean = cross @ self._weights
        solved = solve_triangular(self._factor[0], cross.T, lower=True)
        prior = np.exp(2 * self._theta[-2]) + self._beliefs.constant**2
        return mean, np.sqrt(np.maximum(prior - np.sum(solved * solved, axis=0), 1e-10))

    def _covariance(self, d2: Array, theta: Array) -> tuple[Array, Array]:
        """The kernel, and what its gradient with respect to the squared distance needs."""
        r = np.sqrt(np.maximum(d2 @ np.exp(-2 * theta[:-2]), 1e-20))
        decay = np.exp(2 * theta[-2]) * np.exp(-SQRT5 * r)
        return decay * (1 + SQRT5 * r + 5 / 3 * r * r), decay * (1 + SQRT5 * r) * (5 / 3)

    def _kernel(self, theta: Array) -> tuple[Array, Array]:
        covariance, slope = self._covariance(self._d2, theta)
        noise = np.exp(2 * theta[-1]) + self._extra + JITTER
        return covariance + self._beliefs.constant**2 + np.diag(noise), slope

    def _loss(self, theta: Array) -> tuple[float, Array]:
        """Negative log posterior of the hyperparameters, and its gradient."""
        kernel, slope = self._kernel(theta)
        try:
            factor = cho_factor(kernel, lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        weights = cho_solve(factor, self._y)
        deviation = (theta - self._center) / self._spread
        loss = 0.5 * self._y @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * deviation @ deviation
        inner = cho_solve(factor, np.eye(len(self._y))) - np.outer(weights, weights)
        gradient = deviation / self._spread
        # d k / d log l_d = slope * d2_d / l_d^2, with k'(r)/r folded into slope
        gradient[:-2] += 0.5 * np.einsum("ij,ijd->d", inner * slope, self._d2) * np.exp(-2 * theta[:-2])
        gradient[-2] += np.sum(
            inner * (kernel - np.diag(np.diag(kernel) - self._amplitude_diagonal(theta)) - self._beliefs.constant**2)
        )
        gradient[-1] += np.trace(inner) * np.exp(2 * theta[-1])
        return float(loss), gradient

    def _amplitude_diagonal(self, theta: Array) -> Array:
        return np.full(len(self._y), np.exp(2 * theta[-2]) + self._beliefs.constant**2)
