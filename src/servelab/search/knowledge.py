"""Everything that is believed before a suggestion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from servelab.search.base import Problem
from servelab.search.codes import Codes
from servelab.search.gaussian import Array, Mask, Points
from servelab.search.metrics_model import Belief, MetricModel, log
from servelab.search.predictions import Predictions
from servelab.search.runs_model import RunsModel
from servelab.search.utility import Goal, frontier
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters

MOST = 120  # observations that are learned from: the newest half, and of the others the best
ALLOWED = (2.0, 0.08)  # crashes: so many, and this share of the trials
DOUBT = (1.0, 10.0)  # a prior that says "cannot run" is wrong in this many of so many cases, before any is seen


@dataclass(frozen=True)
class Knowledge:
    """Models fitted to the observations."""

    codes: Codes
    goal: Goal
    models: Mapping[str, MetricModel]
    """By metric; empty while nothing was measured."""
    learned: Points
    """What the models were fitted to."""
    crashes: RunsModel
    predictions: Predictions
    excess: float
    """Crashes so far, over those that are allowed."""
    doubt: float
    """The probability that a configuration runs which the prior says cannot."""

    def beliefs(self, rows: Array) -> dict[str, Belief]:
        """The belief of each metric at some rows."""
        gaps, predicted = self.codes.points(rows).to(self.learned), self.predictions.of(rows)
        return {metric: model.predict(gaps, predicted.logs(metric)) for metric, model in self.models.items()}

    def runs(self, rows: Array) -> Array:
        """The probability that each row runs."""
        found = self.crashes.probability(self.codes.points(rows).rows)
        return found * np.where(self.predictions.of(rows).runs, 1.0, self.doubt)


@dataclass(frozen=True)
class Standing:
    """What the best of the observations reached, by the models' means, which noise does not flatter."""

    ideal: Array
    span: Array
    best: float | None
    """The goal's value to beat: the best that keeps the constraints, or else the likeliest to; None without any."""
    feasible: bool
    """Whether anything keeps the constraints yet."""
    promising: Array
    """Rows of the observations, the best first."""


def learn(
    problem: Problem,
    codes: Codes,
    predictions: Predictions,
    observations: Sequence[Observation],
    pending: Sequence[Parameters],
    weights: Array,
) -> tuple[Knowledge, Standing]:
    """Fit all models. Pending trials count as run, with what is believed of them as their outcome.

    What ran without telling its metrics shows that it runs, and no more.
    """
    goal = Goal(problem, weights)
    telling = [observation for observation in observations if not observation.transient]
    ran = [observation for observation in telling if observation.cause is None]
    measured = _select([o for o in ran if all(key in o.metrics for key in goal.keys)], goal)
    unknown = codes.rows([o.parameters for o in ran if any(key not in o.metrics for key in goal.keys)][-MOST:])
    rows = codes.rows([o.parameters for o in measured])
    logs = {metric: log([o.metrics[metric] for o in measured]) for metric in goal.keys}
    partial = np.array([o.partial for o in measured], dtype=bool)
    models = _fit(codes, predictions, rows, logs, partial)
    failed = [o for o in telling if o.cause is not None]
    if pending and measured:
        waiting = codes.rows(pending)
        gaps, predicted = codes.points(waiting).to(codes.points(rows)), predictions.of(waiting)
        imagined = {metric: model.predict(gaps, predicted.logs(metric)).mean for metric, model in models.items()}
        rows = np.concatenate([rows, waiting])
        partial = np.concatenate([partial, np.zeros(len(waiting), dtype=bool)])
        logs = {m: np.concatenate([logs[m], imagined[m]]) for m in goal.keys}
        models = _fit(codes, predictions, rows, logs, partial)
    crashed = codes.rows([o.parameters for o in failed[-MOST:]])
    running = np.concatenate([rows, unknown])
    knowledge = Knowledge(
        codes=codes,
        goal=goal,
        models=models,
        learned=codes.points(rows),
        crashes=RunsModel(
            codes.points(running),
            codes.points(crashed).rows,
            [o.cause or "" for o in failed[-MOST:]],
        ),
        predictions=predictions,
        excess=len(failed) / (ALLOWED[0] + ALLOWED[1] * len(telling)),
        doubt=_doubt(predictions, running, crashed),
    )
    return knowledge, _standing(knowledge, rows, logs)


def _fit(
    codes: Codes, predictions: Predictions, rows: Array, logs: Mapping[str, Array], partial: Mask
) -> dict[str, MetricModel]:
    """A model of each metric; none without rows."""
    if not len(rows):
        return {}
    gaps, predicted = codes.points(rows).to(codes.points(rows)), predictions.of(rows)
    return {metric: MetricModel(gaps, logs[metric], partial, predicted.logs(metric)) for metric in logs}


def _doubt(predictions: Predictions, ran: Array, crashed: Array) -> float:
    """How often the prior is wrong when it says that a configuration cannot run."""
    wrong, right = int(np.sum(~predictions.of(ran).runs)), int(np.sum(~predictions.of(crashed).runs))
    return (DOUBT[0] + wrong) / (DOUBT[1] + wrong + right)


def _standing(knowledge: Knowledge, rows: Array, logs: Mapping[str, Array]) -> Standing:
    """Feasible is what was measured to be."""
    if not len(rows):
        return Standing(np.zeros(1), np.ones(1), None, False, rows)
    goal = knowledge.goal
    beliefs = knowledge.beliefs(rows)
    signed = goal.signed({key: belief.mean for key, belief in beliefs.items()})
    ideal, span = signed.max(axis=0), np.maximum(1e-6, np.ptp(signed, axis=0))
    value, violation = goal.value(signed, ideal, span), goal.violation(logs)
    order = np.lexsort((-value, violation))
    feasible = violation <= 0
    if signed.shape[1] > 1 and feasible.any():
        first = np.flatnonzero(feasible)[frontier(list(signed[feasible]))]
        order = np.concatenate([first, order[~np.isin(order, first)]])
    holds = goal.log_holds(beliefs) + np.zeros(len(rows))
    # While nothing keeps the constraints, the likeliest to keep them is what must be beaten.
    best = float(value[feasible].max()) if feasible.any() else float(value[int(np.argmax(holds))])
    return Standing(ideal, span, best, bool(feasible.any()), rows[order])


def _select(observations: Sequence[Observation], goal: Goal) -> list[Observation]:
    """At most MOST observations."""
    if len(observations) <= MOST:
        return list(observations)
    older, newer = observations[: -MOST // 2], observations[-MOST // 2 :]
    logs = {metric: log([o.metrics[metric] for o in older]) for metric in goal.keys}
    signed = goal.signed(logs)
    value = goal.value(signed, signed.max(axis=0), np.maximum(1e-6, np.ptp(signed, axis=0)))
    ranked = np.lexsort((-value, goal.violation(logs)))[: MOST - len(newer)]
    return [older[index] for index in sorted(ranked)] + list(newer)
