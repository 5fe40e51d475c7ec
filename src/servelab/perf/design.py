"""Which concurrency to measure next, so that the interval of the predicted ITL gets as narrow as it can.

The design is I-optimal: the candidate is taken after which the mean relative variance of the prediction over the whole
range is smallest, under the form that fits best so far. The opening levels are spread geometrically, so that there is a
form to choose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from servelab.perf.decode import fit_decode, levels
from servelab.perf.models import KneeBatch, Lengths, SaturatingBatch
from servelab.perf.parameters import Fit
from servelab.perf.regression import Array
from servelab.perf.sample import Sample, usable
from servelab.spec.load import Load, LoadPoint

OPENING = 5  # levels that are measured before the design adapts
NARROW = 0.01  # half of the interval of ITL, as a share: what is enough everywhere
FEWEST = 8  # measurements before a narrow interval is believed
_ANY = Lengths(1, 1)


def opening(high: int) -> list[int]:
    """The first levels: the two ends, then those between, spread geometrically; as many as there are."""
    spread = sorted({round(level) for level in np.geomspace(1, high, OPENING)})
    return [spread[0], *spread[:0:-1]] if len(spread) > 1 else spread


def next_level(load: Load, found: Sequence[Sample], spent: float) -> LoadPoint | None:
    """The next level of an estimation; None when its time is used up, or the answer is narrow enough.

    ``found`` are the samples so far, flawed ones included; ``spent`` the seconds that they took.
    """
    plan = load.estimate
    assert plan is not None  # only such a load is designed
    first = opening(plan.high)
    if len(found) < len(first):
        return load.point("concurrency", first[len(found)])
    if spent >= plan.total or len(found) >= plan.most:
        return None
    good = usable(found)
    spoilt = {one.concurrency for one in found if one.flaw}
    allowed = [level for level in _candidates(plan.high) if level not in spoilt]
    if len(levels([one.batch for one in good])) < 2 or not allowed:
        return None
    fits, best = fit_decode(good)
    fit = next(one for one in fits if one.model == best)
    if len(found) >= FEWEST and widest(fit, plan.high) < NARROW:
        return None
    return load.point("concurrency", narrowing(fit, good, allowed, plan.high))


def narrowing(fit: Fit, good: Sequence[Sample], allowed: Sequence[int], high: int) -> int:
    """Of the allowed levels, the one whose measurement narrows the prediction over 1 to ``high`` most."""
    targets = _rows(fit, np.geomspace(1, high, 33))
    information = (rows := _rows(fit, np.array([one.batch for one in good]))).T @ rows
    ridge = 1e-12 * np.trace(information) * np.eye(len(information))

    def left(level: int) -> float:
        row = _rows(fit, np.array([float(level)]))
        covariance = np.linalg.pinv(information + ridge + row.T @ row)
        return float(np.mean(np.einsum("ij,jk,ik->i", targets, covariance, targets)))

    # Of levels that serve alike, the one that was measured least, so that the form is watched everywhere.
    counts = {level: sum(one.concurrency == level for one in good) for level in allowed}
    return min(allowed, key=lambda level: (round(left(level), 12), counts[level]))


def widest(fit: Fit, high: float) -> float:
    """Half of the widest 95 % interval of ITL over 1 to ``high``, as a share of ITL; infinite where none is known."""
    if fit.covariance is None or fit.goodness is None:
        return math.inf
    from scipy.stats import t as student

    fitted = sum(one.interval is not None for one in fit.values.values())  # a knee has none
    quantile = float(student.ppf(0.975, max(1, fit.goodness.points - fitted)))
    rows = _rows(fit, np.geomspace(1, high, 33))
    covariance = np.array(fit.covariance)[: rows.shape[1], : rows.shape[1]]
    return quantile * math.sqrt(max(0.0, float(np.max(np.einsum("ij,jk,ik->i", rows, covariance, rows)))))


def _candidates(high: int) -> list[int]:
    """Levels to choose from: all small ones, larger ones spread geometrically."""
    return sorted({round(level) for level in np.geomspace(1, high, 17)})


def _rows(fit: Fit, batch: Array) -> Array:
    """The slopes of ITL by the coefficients at each batch, as shares of ITL there; the knee stands fast."""
    c = {name: one.value for name, one in fit.values.items()}
    if fit.model == SaturatingBatch.name:
        share = batch / (c["half"] + batch)
        columns = [np.ones_like(batch), share, -c["rise"] * share / (c["half"] + batch)]
    else:
        columns = [np.ones_like(batch), batch]
        if fit.model == KneeBatch.name:
            columns.append(np.maximum(0.0, batch - c["knee"]))
    itl = np.array([fit.instance.itl(float(one), _ANY) for one in batch])  # type: ignore[attr-defined]
    return np.asarray(np.column_stack(columns) / np.maximum(itl, 1e-9)[:, None])
