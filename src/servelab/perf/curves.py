"""What a plot of a fit shows: the model's curve, its 95 % band, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from servelab.perf.models import Lengths
from servelab.perf.parameters import Fit, Parameters
from servelab.perf.sample import Sample

DRAWS = 400
POINTS = 60


@dataclass(frozen=True)
class Curve:
    """A model over ``x``; ``low`` and ``high`` bound its 95 % band, and are empty where none is known."""

    model: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def lengths_of(parameters: Parameters) -> Lengths:
    """Of the requests that it was fitted to; the models by batch do not look at them."""
    return parameters.lengths or Lengths(1, 1)


def itl_curve(fit: Fit, lengths: Lengths, largest: float, banded: bool = True) -> Curve:
    """ITL in seconds over the batch, from 1 to ``largest``."""
    batches = np.linspace(1, max(largest, 1.0 + 1e-9), POINTS)
    model: Any = fit.instance
    line = tuple(float(model.itl(float(batch), lengths)) for batch in batches)
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    if banded and fit.covariance is not None:
        drawn: list[Any] = fit.draws(np.random.default_rng(0), DRAWS)
        rows = np.array([[one.itl(float(batch), lengths) for batch in batches] for one in drawn])
        low, high = (tuple(map(float, row)) for row in np.percentile(rows, [2.5, 97.5], axis=0))
    return Curve(fit.model, tuple(map(float, batches)), line, low, high)


def decode_curves(parameters: Parameters, found: Sequence[Sample]) -> list[Curve]:
    """The model that tells ITL best, and ``linear-batch`` beside it where it is another."""
    fit, lengths = parameters.decode_fit, lengths_of(parameters)
    span = fit.valid.get("batch")
    largest = max([one.batch for one in found], default=span.high if span else 64.0)
    others = [one for one in parameters.fits if one.model == "linear-batch" != fit.model]
    return [itl_curve(fit, lengths, largest), *(itl_curve(one, lengths, largest, banded=False) for one in others)]


def prefill_curve(parameters: Parameters, found: Sequence[Sample]) -> Curve | None:
    """TTFT in seconds over prompt tokens times batch, of ``linear-prefill``; None without it."""
    fit = parameters.prefill_fit
    if fit is None or fit.model != "linear-prefill":
        return None
    span, prompt = fit.valid.get("batch"), lengths_of(parameters).prompt
    largest = max([one.prompt * one.batch for one in found], default=(span.high if span else 64.0) * max(1.0, prompt))
    gamma, delta = (fit.values[name].value for name in ("gamma", "delta"))
    return Curve(fit.model, (0.0, largest), (gamma, gamma + delta * largest))
