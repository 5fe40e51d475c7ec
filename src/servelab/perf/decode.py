"""ITL against the achieved batch: three forms, of which an information criterion chooses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from servelab.perf.models import KneeBatch, LinearBatch, PerformanceModel, SaturatingBatch
from servelab.perf.parameters import Coefficient, Fit, Span
from servelab.perf.regression import Array, Regression, regress, solve
from servelab.perf.sample import Sample

DECISIVE = 2.0
"""AICc by which a form with more coefficients has to be better (Burnham and Anderson, 2002)."""

SAME_LEVEL = 0.1  # share within which batches count as one level


def fit_decode(found: Sequence[Sample]) -> tuple[tuple[Fit, ...], str]:
    """Every form that these samples can bear, ``linear-batch`` first, and the name of the one to predict with."""
    batch = np.array([one.batch for one in found])
    itl = np.array([one.itl for one in found])
    fits = [_linear(batch, itl)]
    if len(levels(batch.tolist())) >= 3:
        fits += [one for one in (_knee(batch, itl), _saturating(batch, itl)) if one is not None]
    valid = ranges(found)
    fits = [fit.model_copy(update={"valid": valid}) for fit in fits]
    return tuple(fits), chosen(fits).model


def chosen(fits: Sequence[Fit]) -> Fit:
    """The first, unless another one is better by more than chance."""
    best = fits[0]
    for fit in fits[1:]:
        if _criterion(fit) < _criterion(best) - (DECISIVE if best is fits[0] else 0.0):
            best = fit
    return best


def levels(batches: Sequence[float]) -> list[float]:
    """The distinct ones, ascending; those within SAME_LEVEL of one another are one, at their mean."""
    distinct: list[list[float]] = []
    for value in sorted(batches):
        if not distinct or value > distinct[-1][0] * (1 + SAME_LEVEL):
            distinct.append([])
        distinct[-1].append(value)
    return [fmean(level) for level in distinct]


def ranges(found: Sequence[Sample]) -> dict[str, Span]:
    """From where to where the samples reach."""
    of = {"batch": "batch", "prompt_tokens": "prompt", "output_tokens": "output"}
    values = {name: [getattr(one, field) for one in found] for name, field in of.items()}
    return {name: Span(low=min(each), high=max(each)) for name, each in values.items()}


def as_fit(kind: type[PerformanceModel], found: Regression) -> Fit:
    """The regression's coefficients as those of a model."""
    values = {
        name: Coefficient(value=float(value), unit=unit, interval=found.interval(index))
        for index, ((name, unit), value) in enumerate(zip(kind.units.items(), found.values, strict=True))
    }
    covariance = None if found.covariance is None else tuple(tuple(map(float, row)) for row in found.covariance)
    return Fit(model=kind.name, values=values, covariance=covariance, goodness=found.goodness)


def _criterion(fit: Fit) -> float:
    value = fit.goodness.aicc if fit.goodness else None
    return math.inf if value is None else value


def _linear(batch: Array, itl: Array) -> Fit:
    columns = np.column_stack([np.ones_like(batch), batch])
    return as_fit(LinearBatch, regress(lambda c: columns @ c, itl, solve(columns, itl)))


def _knee(batch: Array, itl: Array) -> Fit:
    """The knee lies at a measured level: between two of them it cannot be located. It counts as a coefficient."""
    tried = []
    for knee in levels(batch.tolist())[1:-1]:
        columns = np.column_stack([np.ones_like(batch), batch, np.maximum(0.0, batch - knee)])
        found = regress(lambda c, columns=columns: columns @ c, itl, solve(columns, itl), counted=4)  # type: ignore[misc]
        tried.append((found, knee))
    found, knee = min(tried, key=lambda one: one[0].goodness.mape or 0.0)
    covariance = None if found.covariance is None else np.pad(found.covariance, (0, 1))
    whole = Regression(np.append(found.values, knee), covariance, found.goodness, found.freedom)
    return as_fit(KneeBatch, whole)


def _saturating(batch: Array, itl: Array) -> Fit | None:
    """From the best of a few halves; None where the rise does not end within what was measured."""

    def curve(c: Array) -> Any:
        return c[0] + c[1] * batch / (c[2] + batch)

    starts = []
    for half in np.geomspace(batch.min(), 4 * batch.max(), 12):
        columns = np.column_stack([np.ones_like(batch), batch / (half + batch)])
        start = np.append(solve(columns, itl), half)
        starts.append((float(np.sum(((curve(start) - itl) / itl) ** 2)), start))
    found = regress(curve, itl, min(starts, key=lambda one: one[0])[1])
    _, rise, half = found.values
    if rise <= 0 or not 0 < half <= 4 * batch.max():
        return None
    return as_fit(SaturatingBatch, found)
