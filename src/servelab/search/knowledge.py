"""Everything that is believed before a suggestion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servelab.search.base import Problem
from servelab.search.codes import Codes
from servelab.search.gaussian import Array
from servelab.search.metrics_model import Belief, MetricModel, log
from servelab.search.predictions import Predictions
from servelab.search.runs_model import RunsModel
from servelab.search.utility import Goal, frontier
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters

MOST = 240  # observations that are learned from: the newest half, and of the others the best
UNLIKELY = 0.05  # probability that a configuration runs which the prior says cannot


@dataclass(frozen=True)
class Knowledge:
    """Models fitted to the observations, and what the best of them reached."""

    goal: Goal
    ideal: Array
    span: Array
    best: float | None
    """The goal's value at the best configuration that keeps the constraints; None if none does."""
    least: float
    """The smallest violation so far; infinite if nothing was measured."""
    promising: Array
    """Rows of the best observations, the best first."""
    sampling_seed: int
    models: dict[str, MetricModel | None]
    crashes: RunsModel
    predictions: Predictions

    def beliefs(self, rows: Array) -> dict[str, Belief]:
        """The belief of each metric at some rows."""
        return {metric: self._belief(metric, rows) for metric in self.goal.keys}

    def _belief(self, metric: str, rows: Array) -> Belief:
        prior = self.predictions.logs(rows, metric)
        model = self.models[metric]
        if model is None:
            return Belief(np.where(np.isnan(prior), 0.0, prior), np.full(len(rows), 1.0))
        uninformed = np.isnan(prior)
        if uninformed.all():
            return model.predict(rows, None)
        found = model.predict(rows, np.where(uninformed, 0.0, prior))
        return Belief(found.mean, np.where(uninformed, 3.0, found.deviation))

    def runs(self, rows: Array) -> Array:
        """The probability that each row runs."""
        return self.crashes.probability(rows) * np.where(self.predictions.runs(rows), 1.0, UNLIKELY)


def learn(
    problem: Problem,
    codes: Codes,
    predictions: Predictions,
    observations: Sequence[Observation],
    pending: Sequence[Parameters],
    rng: np.random.Generator,
) -> Knowledge:
    """Fit all models. Pending trials count as run, with what is believed of them as their outcome."""
    goal = Goal(problem, rng.dirichlet(np.ones(max(1, len(problem.objectives)))))
    telling = [observation for observation in observations if not observation.transient]
    measured = _select([o for o in telling if o.cause is None and all(k in o.metrics for k in goal.keys)], goal)
    rows = codes.rows([o.parameters for o in measured])
    logs = {metric: log([o.metrics[metric] for o in measured]) for metric in goal.keys}
    partial = np.array([o.partial for o in measured], dtype=bool)
    models = {m: _fit(rows, logs[m], partial, predictions.logs(rows, m), codes) for m in goal.keys}
    if pending and measured:
        waiting = codes.rows(pending)
        imagined = {m: _mean(model, waiting, predictions.logs(waiting, m)) for m, model in models.items()}
        rows = np.concatenate([rows, waiting])
        partial = np.append(partial, [False] * len(waiting))
        logs = {m: np.concatenate([logs[m], imagined[m]]) for m in goal.keys}
        models = {m: _fit(rows, logs[m], partial, predictions.logs(rows, m), codes) for m in goal.keys}
    smooth = {m: _mean(model, rows, predictions.logs(rows, m)) for m, model in models.items()} if len(rows) else {}
    ideal, span, best, least, order = _standing(goal, logs, smooth)
    failed = [o for o in telling if o.cause is not None][-MOST:]
    ran = codes.rows([*(o.parameters for o in measured), *(o.parameters for o in failed)])
    causes = [None] * len(measured) + [o.cause for o in failed]
    return Knowledge(
        goal=goal,
        ideal=ideal,
        span=span,
        best=best,
        least=least,
        promising=rows[order] if len(rows) else rows,
        sampling_seed=int(rng.integers(2**31)),
        models=models,
        crashes=RunsModel(ran, causes, codes.categorical),
        predictions=predictions,
    )


def _fit(rows: Array, logs: Array, partial: NDArray[np.bool_], prior: Array, codes: Codes) -> MetricModel | None:
    """A model of one metric: on the residual where the prior speaks of any row; None without rows."""
    if not len(rows):
        return None
    if np.isnan(prior).all():
        return MetricModel(rows, logs, partial, None, codes.categorical)
    spoken = ~np.isnan(prior)
    return MetricModel(rows[spoken], logs[spoken], partial[spoken], prior[spoken], codes.categorical)


def _mean(model: MetricModel | None, rows: Array, prior: Array) -> Array:
    assert model is not None
    known = None if np.isnan(prior).all() else np.where(np.isnan(prior), 0.0, prior)
    return model.predict(rows, known).mean


def _standing(
    goal: Goal, logs: dict[str, Array], smooth: dict[str, Array]
) -> tuple[Array, Array, float | None, float, NDArray[np.intp]]:
    """Ideal point and span of the objectives, best value, least violation, and the rows from best to worst.

    Values are the models' means, which noise does not flatter; feasible is what was measured to be.
    """
    if not smooth:
        return np.zeros(1), np.ones(1), None, np.inf, np.zeros(0, dtype=np.intp)
    signed = goal.signed(smooth)
    ideal, span = signed.max(axis=0), np.maximum(1e-6, np.ptp(signed, axis=0))
    value, violation = goal.value(smooth, ideal, span), goal.violation(logs)
    order = np.lexsort((-value, violation))
    feasible = violation <= 0
    if signed.shape[1] > 1 and feasible.any():
        front = frontier(signed[feasible])
        first = np.flatnonzero(feasible)[front]
        order = np.concatenate([first, order[~np.isin(order, first)]])
    best = float(value[feasible].max()) if feasible.any() else None
    return ideal, span, best, float(np.minimum(violation, goal.violation(smooth)).min()), order


def _select(observations: Sequence[Observation], goal: Goal) -> list[Observation]:
    """At most MOST observations."""
    if len(observations) <= MOST:
        return list(observations)
    older, newer = observations[: -MOST // 2], observations[-MOST // 2 :]
    logs = {metric: log([o.metrics[metric] for o in older]) for metric in goal.keys}
    signed = goal.signed(logs)
    value = goal.value(logs, signed.max(axis=0), np.maximum(1e-6, np.ptp(signed, axis=0)))
    ranked = np.lexsort((-value, goal.violation(logs)))[: MOST - len(newer)]
    return [older[index] for index in sorted(ranked)] + list(newer)
