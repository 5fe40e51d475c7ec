"""Robust regression on relative residuals, with intervals that do not trust its weights.

Latencies scatter in proportion to themselves, so what is minimised is the Huber loss of ``(predicted - measured) /
measured`` (Huber, Robust Statistics, 1981; tuning constant 1.345 on the scale of the median absolute deviation). The
covariance is the HC3 sandwich (MacKinnon and White, 1985), which Long and Ervin (2000) advise below 250 points;
intervals are Student's, with as many degrees of freedom as points are left over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import t as student

from servelab.perf.parameters import Goodness
from servelab.spec.samples import CONFIDENCE

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]
"""Coefficients -> what they predict for each point."""

HUBER = 1.345
FINEST = 1e-3
"""No measurement is taken to be more accurate than this share: below it, residuals tell models apart no more."""


@dataclass(frozen=True)
class Regression:
    """Coefficients with their covariance; None with as many coefficients as points, or more."""

    values: Array
    covariance: Array | None
    goodness: Goodness
    freedom: int

    def interval(self, index: int) -> tuple[float, float] | None:
        """The 95 % interval of a coefficient; None where it is not known, or the coefficient was set."""
        if self.covariance is None or self.covariance[index, index] == 0:
            return None
        half = self.quantile * math.sqrt(max(0.0, self.covariance[index, index]))
        return float(self.values[index] - half), float(self.values[index] + half)

    @property
    def quantile(self) -> float:
        """Student's, for the 95 % intervals."""
        return float(student.ppf(0.5 + CONFIDENCE / 2, max(1, self.freedom)))


def regress(curve: Curve, measured: Array, start: Array, counted: int | None = None) -> Regression:
    """Fit ``curve`` to what was ``measured``, all above 0, from ``start`` on.

    ``counted`` is the number of coefficients that the information criterion counts; default: all that are fitted.
    """
    scale = np.maximum(np.abs(start), 1e-12)

    def residuals(values: Array) -> Array:
        return np.asarray((curve(values * scale) - measured) / measured)

    found = least_squares(residuals, start / scale, x_scale="jac", method="trf")
    spread = _spread(found.fun, len(start))
    found = least_squares(residuals, found.x, x_scale="jac", loss="huber", f_scale=HUBER * spread)
    left = residuals(found.x)
    values = found.x * scale
    covariance = _sandwich(residuals, found.x, left, HUBER * spread)
    freedom = len(measured) - len(start)
    coefficients = len(start) if counted is None else counted
    return Regression(
        values=values,
        covariance=None if covariance is None else covariance * np.outer(scale, scale),
        goodness=_goodness(measured, left, HUBER * spread, coefficients),
        freedom=freedom,
    )


def _spread(left: Array, coefficients: int) -> float:
    """The scale of the residuals by their median absolute deviation, but no less than FINEST.

    A fit takes up some of the scatter; the divisor is what it leaves.
    """
    spare = max(1, len(left) - coefficients) / len(left)
    return max(FINEST, 1.4826 * float(np.median(np.abs(left))) / math.sqrt(spare))


def _sandwich(residuals: Curve, at: Array, left: Array, bend: float) -> Array | None:
    """HC3 for Huber's loss: in the bread its second derivative, in the meat its first."""
    if len(left) <= len(at):
        return None
    slopes = _slopes(residuals, at)
    inner = slopes[np.abs(left) <= bend]
    if np.linalg.matrix_rank(inner) < len(at):
        inner = slopes
    bread = np.linalg.pinv(inner.T @ inner)
    leverage = np.clip(np.einsum("ij,jk,ik->i", slopes, bread, slopes), 0.0, 0.9)
    meat = slopes * (np.clip(left, -bend, bend) / (1 - leverage))[:, None]
    return np.asarray(bread @ (meat.T @ meat) @ bread)


def _slopes(residuals: Curve, at: Array) -> Array:
    """The Jacobian by central differences."""
    columns = []
    for index in range(len(at)):
        step = np.zeros_like(at)
        step[index] = 1e-5 * max(1e-3, abs(at[index]))
        columns.append((residuals(at + step) - residuals(at - step)) / (2 * step[index]))
    return np.array(columns).T


def _goodness(measured: Array, left: Array, bend: float, coefficients: int) -> Goodness:
    count = len(measured)
    spread = float(np.sum((measured - measured.mean()) ** 2))
    errors = float(np.sum((left * measured) ** 2))
    return Goodness(
        points=count,
        r_squared=1 - errors / spread if spread > 0 else None,
        mape=float(np.mean(np.abs(left))),
        aicc=_aicc(left, bend, coefficients + 1),
    )


def _aicc(left: Array, bend: float, parameters: int) -> float | None:
    """Akaike's criterion with Hurvich and Tsai's correction (1989), of Huber's loss; the spread is a parameter too.

    None where there are too few points for it.
    """
    count = len(left)
    if count - parameters - 1 <= 0:
        return None
    size = np.abs(left)
    loss = np.where(size <= bend, size**2, bend * (2 * size - bend))
    mean = max(float(np.mean(loss)), FINEST**2)
    return count * math.log(mean) + 2 * parameters + 2 * parameters * (parameters + 1) / (count - parameters - 1)


def solve(columns: Array, measured: Array) -> Array:
    """Least squares on relative residuals: a start for what is linear in its coefficients."""
    found: Any = np.linalg.lstsq(columns / measured[:, None], np.ones(len(measured)), rcond=None)
    return np.asarray(found[0])
