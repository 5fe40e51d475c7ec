"""How much a trial is worth: the expected improvement under the constraints, in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import log_ndtr, ndtr

from servelab.search.base import Problem
from servelab.search.gaussian import Array, Mask
from servelab.search.metrics_model import Belief
from servelab.spec.assess import goal_key

SAMPLES = 64  # draws behind the moments of a scalarised value


class Goal:
    """The goal of a problem, over logarithms of its metrics."""

    def __init__(self, problem: Problem, weights: Array) -> None:
        """``weights`` of the objectives, for this suggestion; they sum to one."""
        self.objectives = [(goal_key(o), 1.0 if o.direction == "maximize" else -1.0) for o in problem.objectives]
        self.bounds = [
            (goal_key(c), 1.0 if c.max is not None else -1.0, float(np.log(c.bound))) for c in problem.constraints
        ]
        self._weights = weights
        self.keys = tuple(dict.fromkeys([key for key, _ in self.objectives] + [key for key, *_ in self.bounds]))

    def signed(self, logs: Mapping[str, Array]) -> Array:
        """The objectives, more is better, shape (..., objectives)."""
        return np.stack([sign * logs[key] for key, sign in self.objectives], axis=-1)

    def value(self, signed: Array, ideal: Array, span: Array) -> Array:
        """What to maximise: the objective's logarithm, or the augmented Chebyshev sum of several (Knowles 2006)."""
        if signed.shape[-1] == 1:
            return np.asarray(signed[..., 0])
        short = self._weights * (ideal - signed) / span
        return np.asarray(-(short.max(axis=-1) + 0.05 * short.sum(axis=-1)))

    def violation(self, logs: Mapping[str, Array]) -> Array:
        """The sum of log ratios by which the constraints are missed; 0 where all hold."""
        missed = [np.maximum(0.0, sign * (logs[key] - bound)) for key, sign, bound in self.bounds]
        return np.sum(missed, axis=0) if missed else np.zeros_like(next(iter(logs.values())))

    def believed_value(self, beliefs: Mapping[str, Belief], ideal: Array, span: Array, seed: int) -> Belief:
        """Mean and deviation of the value, shapes (n,)."""
        if len(self.objectives) == 1:
            key, sign = self.objectives[0]
            return Belief(sign * beliefs[key].mean, beliefs[key].deviation)
        # The same draws for all candidates, so that comparing them is not a lottery.
        normal = np.random.default_rng(seed).standard_normal((len(self.objectives), SAMPLES))
        drawn = {
            key: beliefs[key].mean[:, None] + beliefs[key].deviation[:, None] * normal[index]
            for index, (key, _) in enumerate(self.objectives)
        }
        value = self.value(self.signed(drawn), ideal, span)
        return Belief(value.mean(axis=1), value.std(axis=1) + 1e-9)

    def log_holds(self, beliefs: Mapping[str, Belief]) -> Array | float:
        """The logarithm of the probability that every constraint holds, shape (n,)."""
        return sum(
            (log_ndtr(sign * (bound - beliefs[key].mean) / beliefs[key].deviation) for key, sign, bound in self.bounds),
            start=0.0,
        )


def log_improvement(value: Belief, best: float) -> Array:
    """The logarithm of the expected improvement over ``best``, shape (n,) (Ament et al. 2023, simplified)."""
    z = (value.mean - best) / value.deviation
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    exact = density + z * ndtr(z)
    # Far below the incumbent the sum cancels; its asymptote is density / z^2.
    tail = -0.5 * z * z - 0.5 * np.log(2 * np.pi) - 2 * np.log(np.maximum(1.0, -z))
    return np.asarray(np.where(z > -6, np.log(np.maximum(exact, 1e-300)), tail) + np.log(value.deviation))


def frontier(points: Sequence[Array]) -> Mask:
    """Which of some points (more is better in each coordinate) no other dominates."""
    table: Array = np.array(points)
    no_worse: Mask = np.all(table[None, :, :] >= table[:, None, :], axis=2)
    better: Mask = np.any(table[None, :, :] > table[:, None, :], axis=2)
    return np.asarray(~np.any(no_worse & better, axis=1))
