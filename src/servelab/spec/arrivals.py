"""When the requests of an open loop are due."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

from servelab.spec.load import LoadPoint


def due_times(load: LoadPoint, rng: random.Random, recorded: Sequence[float] = ()) -> Iterator[float]:
    """The times at which requests are due, in seconds since the start; endless where the load names no count.

    Arrivals are a process of one request per second on average, stretched to the rate; of a ramp, to the integral
    of its rate (time rescaling). ``recorded`` are a trace's own times, for a replay.
    """
    if load.kind == "replay":
        times: Iterator[float] = (when / load.level for when in recorded)
    else:
        times = (_stretched(load, unit) for unit in _unit_arrivals(load, rng))
    return times if load.requests is None else itertools.islice(times, load.requests)


def _unit_arrivals(load: LoadPoint, rng: random.Random) -> Iterator[float]:
    """Arrival times at one request per second; constant ones begin at once."""
    if load.kind == "constant":
        yield from map(float, itertools.count())
    shape = load.burstiness
    due = 0.0
    while True:
        # Gamma with mean 1: the coefficient of variation is 1 / sqrt(shape), as in `vllm bench serve`.
        due += rng.expovariate(1.0) if load.kind == "poisson" else rng.gammavariate(shape, 1 / shape)
        yield due


def _stretched(load: LoadPoint, unit: float) -> float:
    """When ``unit`` requests are due on average: the inverse of the rate's integral."""
    low, high = load.start, load.level
    if low is None or low == high:
        return unit / high
    length = load.seconds if load.seconds is not None else 2 * (load.requests or 0) / (low + high)
    whole = (low + high) / 2 * length
    if unit >= whole:
        return length + (unit - whole) / high
    slope = (high - low) / length
    # The root of low t + slope t^2 / 2 = unit, in the form that loses no digits where the slope is small.
    return 2 * unit / (low + math.sqrt(max(0.0, low * low + 2 * slope * unit)))
