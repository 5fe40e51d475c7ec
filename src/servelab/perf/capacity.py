"""The highest rate that a deployment serves within its SLO."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from servelab.perf.deployment import Deployment, overloaded
from servelab.perf.tally import Tally
from servelab.spec.goal import Constraint

TOLERANCE = 0.01  # share between the highest rate that was met and the lowest that was missed
LOWEST = 1e-3  # of the greatest rate: what misses the SLO here misses it always
REACH = 1.2  # how far around a guess is looked first
OVERLOAD = "more requests come than are served"


@dataclass(frozen=True)
class Highest:
    """A rate in requests/s, and what the next higher one misses; 0 where no rate is met."""

    rate: float
    limited_by: str


def highest_rate(
    deployment: Deployment,
    slo: Sequence[Constraint],
    requests: int,
    seed: int,
    guess: float | None = None,
    tolerance: float = TOLERANCE,
) -> Highest:
    """Search between nothing and more than can be served at all, or around ``guess``.

    All rates see the same requests, and the same arrivals but for their pace. Between the highest rate that is met and
    the lowest that is missed lies ``tolerance``, as a share.
    """

    def missed(rate: float) -> str | None:
        return missing(deployment.at(rate, requests, seed), slo)

    greatest = deployment.queue.capacity
    low, high = (guess / REACH, guess * REACH) if guess else (LOWEST * greatest, 2 * greatest)
    while (why := missed(low)) is not None:
        if low <= LOWEST * greatest:
            return Highest(0.0, why)
        low, high = max(low / 2, LOWEST * greatest), low
    while guess and high < 2 * greatest and (why := missed(high)) is None:
        low, high = high, high * REACH
    why = why or OVERLOAD
    while high / low > 1 + tolerance:
        middle = math.sqrt(low * high) if high / low > 2 else (low + high) / 2
        found = missed(middle)
        low, high, why = (middle, high, why) if found is None else (low, middle, found)
    return Highest(low, why)


def missing(tally: Tally, slo: Sequence[Constraint]) -> str | None:
    """What a simulated load misses; None where it misses nothing."""
    if overloaded(tally):
        return OVERLOAD
    found = tally.metrics()
    for constraint in slo:
        value = found.get(constraint.metric)
        if value is not None and constraint.violation(value) > 0:
            return str(constraint)
    return None
