"""All that the closed form tells at once: latency, capacity, replicas, cost, and latency over the rate."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from pydantic import Field

from servelab.perf.deployment import Deployment, NotPredictableError
from servelab.perf.parameters import Parameters
from servelab.perf.predict import Price
from servelab.perf.prediction import ClosedForm
from servelab.perf.queue import NEARLY, Queue, Steady
from servelab.spec.base import Spec

POINTS = 48  # of the curve
BELIEVED = 0.8  # of the greatest rate: above it, the closed form waits too long


class Bounds(Spec):
    """An SLO on means, in seconds; the closed form knows no percentiles."""

    ttft: float | None = Field(default=None, gt=0)
    itl: float | None = Field(default=None, gt=0)
    e2e: float | None = Field(default=None, gt=0)


class Point(Spec):
    """Mean latencies in seconds at a rate in requests/s."""

    rate: float
    ttft: float
    itl: float
    e2e: float


class Instant(Spec):
    """The closed form's answer; nothing of it is measured."""

    rate: float = Field(description="requests/s")
    model: str = Field(description="the performance model that it rests on")
    at_rate: ClosedForm | None = Field(description="with all of the rate at one replica; None beyond what it can serve")
    batch: float | None = Field(description="sequences in a step, on average")
    greatest_rate: float = Field(description="requests/s that one replica can serve at all")
    highest_rate: float | None = Field(description="requests/s of one replica that keep the bounds; None without any")
    replicas: int | None = Field(description="for the rate, within the bounds; None where no rate keeps them")
    each: ClosedForm | None = Field(description="where the rate is shared by so many replicas")
    cost_per_hour: float | None = None
    cost_per_million_tokens: float | None = Field(default=None, description="of output")
    curve: tuple[Point, ...] = Field(description="latency over the rate of one replica")
    warnings: tuple[str, ...] = ()


def instant(parameters: Parameters, deployment: Deployment, rate: float, bounds: Bounds, price: Price) -> Instant:
    """Answer within milliseconds.

    Raises:
        NotPredictableError: the limits contradict each other, or the coefficients make no time.
    """
    with np.errstate(all="ignore"):
        queue = deployment.queue
        if not (math.isfinite(queue.capacity) and queue.capacity > 0):
            raise NotPredictableError("these coefficients tell no time of a step", "Look at their values and units.")
        bounded = any(bound is not None for bound in (bounds.ttft, bounds.itl, bounds.e2e))
        highest = queue.highest(bounds.ttft, bounds.itl, bounds.e2e)
        replicas = math.ceil(rate / highest - 1e-9) if highest > 0 else None
        cost = price.hour * price.accelerators * replicas if price.hour is not None and replicas else None
        steady = queue.at(rate)
        return Instant(
            rate=rate,
            model=parameters.decode,
            at_rate=steady and _told(steady),
            batch=steady and steady.batch,
            greatest_rate=queue.capacity,
            highest_rate=highest if bounded else None,
            replicas=replicas,
            each=_told(queue.at(min(rate / replicas, highest))) if replicas else None,
            cost_per_hour=cost,
            cost_per_million_tokens=cost / (rate * deployment.lengths.output * 3600 / 1e6)
            if cost is not None
            else None,
            curve=tuple(_curve(queue)),
            warnings=tuple(_warnings(parameters, deployment, steady)),
        )


def _told(found: Steady | None) -> ClosedForm | None:
    if found is None:
        return None
    return ClosedForm(ttft=found.ttft, itl=found.itl, e2e=found.e2e, utilization=found.utilization)


def _curve(queue: Queue) -> Iterator[Point]:
    # Denser where it bends: the last points are close to all that can be served.
    for share in 1 - (1 - np.linspace(0.01, 1, POINTS, endpoint=False)) ** 1.6:
        found = queue.at(float(share) * NEARLY * queue.capacity)
        if found is not None and math.isfinite(found.e2e):
            yield Point(rate=found.rate, ttft=found.ttft, itl=found.itl, e2e=found.e2e)


def _warnings(parameters: Parameters, deployment: Deployment, steady: Steady | None) -> Iterator[str]:
    if steady is None:
        yield "more requests come than one replica serves: its latencies would grow for ever"
    else:
        yield from parameters.decode_fit.outside(batch=max(1.0, round(steady.batch, 1)))
        if steady.utilization > BELIEVED:
            yield f"above {BELIEVED:.0%} of the greatest rate the closed form waits too long: believe the simulation"
    prefill = parameters.prefill_fit
    if prefill is not None and prefill.model == "linear-prefill":
        yield from prefill.outside(prompt_tokens=deployment.lengths.prompt)
    if deployment.models.prefill is None and not hasattr(deployment.models.decode, "ttft"):
        yield f"nothing is known of prompts ({parameters.decode} tells ITL only): they are taken to cost no time"
    if parameters.provenance.simulated:
        yield "the coefficients come from a simulated engine"
