"""How much a trial is worth: the expected improvement, over samples of what is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from servelab.search.base import Problem
from servelab.search.gaussian import Array
from servelab.search.metrics_model import Belief
from servelab.spec.assess import goal_key

SAMPLES = 64  # of each belief; the same for all candidates, so that comparing them is not a lottery


class Goal:
    """The goal of a problem, over logarithms of its metrics."""

    def __init__(self, problem: Problem, weights: Array) -> None:
        """``weights`` of the objectives, for this suggestion; they sum to one."""
        self._objectives = [(goal_key(o), 1.0 if o.direction == "maximize" else -1.0) for o in problem.objectives]
        self.bounds = [
            (goal_key(c), 1.0 if c.max is not None else -1.0, np.log(c.bound)) for c in problem.constraints
        ]
        self._weights = weights
        self.keys = tuple(dict.fromkeys([key for key, _ in self._objectives] + [key for key, *_ in self.bounds]))

    def value(self, logs: Mapping[str, Array], ideal: Array, span: Array) -> Array:
        """What to maximise: the objective's logarithm, or the augmented Chebyshev sum of several (Knowles 2006)."""
        signed = np.stack([sign * logs[key] for key, sign in self._objectives], axis=-1)
        if signed.shape[-1] == 1:
            return np.asarray(signed[..., 0])
        short = self._weights * (ideal - signed) / span
        return np.asarray(-(short.max(axis=-1) + 0.05 * short.sum(axis=-1)))

    def signed(self, logs: Mapping[str, Array]) -> Array:
        """The objectives, more is better, shape (..., objectives)."""
        return np.stack([sign * logs[key] for key, sign in self._objectives], axis=-1)

    def violation(self, logs: Mapping[str, Array]) -> Array:
        """The sum of log ratios by which the constraints are missed; 0 where all hold."""
        missed = [np.maximum(0.0, sign * (logs[key] - bound)) for key, sign, bound in self.bounds]
        return np.sum(missed, axis=0) if missed else np.zeros_like(next(iter(logs.values())))


def samples(beliefs: Mapping[str, Belief], rng: np.random.Generator) -> dict[str, Array]:
    """Draws of each metric's logarithm, shape (n, SAMPLES)."""
    return {
        key: belief.mean[:, None] + belief.deviation[:, None] * rng.standard_normal(SAMPLES)[None, :]
        for key, belief in beliefs.items()
    }


def expected_improvement(value: Array, violation: Array, best: float | None, least: float) -> Array:
    """Expected gain over the incumbent, shape (n,), from samples of shape (n, SAMPLES).

    While nothing is known to keep the constraints (``best`` is None), the gain is in the violation.
    """
    if best is None:
        return np.asarray(np.mean(np.maximum(0.0, least - violation), axis=1))
    return np.asarray(np.mean(np.where(violation <= 0, np.maximum(0.0, value - best), 0.0), axis=1))


def frontier(points: Sequence[Sequence[float]] | Array) -> NDArray[np.bool_]:
    """Which of some points (more is better in each coordinate) no other dominates, shape (n,)."""
    table = np.asarray(points)
    as_good = np.all(table[None, :, :] >= table[:, None, :], axis=-1)
    better = np.any(table[None, :, :] > table[:, None, :], axis=-1)
    return np.asarray(~np.any(as_good & better, axis=1))
