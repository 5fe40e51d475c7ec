"""From fitted coefficients to latency at a load, capacity, replicas and cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from servelab.perf.capacity import highest_rate
from servelab.perf.deployment import Deployment, drawn, overloaded
from servelab.perf.models import LinearPrefill
from servelab.perf.parameters import Parameters
from servelab.perf.prediction import Capacity, ClosedForm, Estimate, Prediction
from servelab.perf.sensitivity import effects
from servelab.perf.tally import Tally
from servelab.spec.goal import Constraint

SHOWN = tuple(f"{name}_{which}" for name in ("ttft", "itl", "e2e") for which in ("mean", "p50", "p95", "p99"))
RATES = ("request_throughput", "output_throughput", "concurrency")
LIKELY = (2.5, 97.5)  # percent
FEWER = 4  # the intervals take that many fewer requests: they need the change, not the value
COARSE = 0.03  # share to which the draws' highest rates are told apart


@dataclass(frozen=True)
class Effort:
    """How much is simulated: ``requests`` at each rate, ``draws`` of the coefficients for the intervals."""

    requests: int = 4000
    draws: int = 30
    seed: int = 0


@dataclass(frozen=True)
class Price:
    """Of a replica: its accelerators, and what one costs an hour."""

    accelerators: int = 1
    hour: float | None = None


def predict(
    parameters: Parameters,
    deployment: Deployment,
    rate: float,
    slo: Sequence[Constraint] = (),
    price: Price | None = None,
    effort: Effort | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Prediction:
    """Latency at ``rate`` requests/s on one replica, and with an SLO what it takes to keep it.

    ``deployment`` has the fitted coefficients; their covariance makes the intervals.

    Raises:
        NotPredictableError: the limits contradict each other.
        TooLargeError: a request is larger than the KV cache.
    """
    effort = effort or Effort()
    fewer = effort.requests // FEWER
    progress(f"simulating {effort.requests:,} requests at {rate:g} requests/s")
    tally = deployment.at(rate, effort.requests, effort.seed)
    variants = [
        dataclasses.replace(deployment, models=models) for models in drawn(parameters, effort.draws, effort.seed)
    ]
    if variants:
        progress(f"intervals from {len(variants)} draws of the coefficients")
    metrics = _metrics(deployment, variants, rate, tally, fewer, effort.seed)
    capacity = None
    if slo:
        progress("the highest rate that keeps the SLO")
        capacity = _capacity(deployment, variants, rate, slo, price or Price(), effort)
    progress("sensitivity")
    steady = deployment.queue.at(rate)
    return Prediction(
        rate=rate,
        model=parameters.decode,
        prompt_tokens=deployment.lengths.prompt,
        output_tokens=deployment.lengths.output,
        limits={n: value for n, value in dataclasses.asdict(deployment.batching).items() if value is not None},
        metrics=metrics,
        stable=not overloaded(tally),
        batch=tally.batch,
        closed_form=steady
        and ClosedForm(ttft=steady.ttft, itl=steady.itl, e2e=steady.e2e, utilization=steady.utilization),
        capacity=capacity,
        sensitivity=effects(deployment, rate, fewer, effort.seed),
        warnings=(*_warnings(parameters, deployment, tally), *_stretched(parameters, deployment, capacity)),
        requests=tally.requests,
        seed=effort.seed,
    )


def _metrics(
    deployment: Deployment, variants: Sequence[Deployment], rate: float, tally: Tally, requests: int, seed: int
) -> dict[str, Estimate]:
    found = tally.metrics()
    spread = [one.at(rate, requests, seed).metrics() for one in variants]
    center = deployment.at(rate, requests, seed).metrics() if variants else {}
    names = [name for name in (*SHOWN, *RATES) if name in found]
    return {name: _estimate(found[name], center.get(name), [one[name] for one in spread]) for name in names}


def _capacity(
    deployment: Deployment,
    variants: Sequence[Deployment],
    rate: float,
    slo: Sequence[Constraint],
    price: Price,
    effort: Effort,
) -> Capacity:
    highest = highest_rate(deployment, slo, effort.requests, effort.seed)
    search = partial(
        highest_rate,
        slo=slo,
        requests=effort.requests // FEWER,
        seed=effort.seed,
        guess=highest.rate,
        tolerance=COARSE,
    )
    spread = [search(one).rate for one in variants]
    center = search(deployment).rate if variants else None
    estimate = _estimate(highest.rate, center, spread)
    needed = _replicas(rate, highest.rate)
    between = None
    if estimate.interval is not None and estimate.interval[0] > 0:
        between = (_replicas(rate, estimate.interval[1]) or 0, _replicas(rate, estimate.interval[0]) or 0)
    cost = price.hour * price.accelerators * needed if price.hour is not None and needed else None
    tokens = rate * deployment.lengths.output * 3600 / 1e6
    return Capacity(
        highest_rate=estimate,
        limited_by=highest.limited_by,
        replicas=needed,
        replicas_between=between,
        cost_per_hour=cost,
        cost_per_million_tokens=None if cost is None else cost / tokens,
    )


def _replicas(rate: float, highest: float) -> int | None:
    return math.ceil(rate / highest - 1e-9) if highest > 0 else None


def _estimate(value: float, center: float | None, spread: Sequence[float]) -> Estimate:
    """The draws' interval, relative to what the fitted coefficients give with as many requests as the draws had."""
    if not spread or not center:
        return Estimate(value=value)
    low, high = np.percentile(spread, LIKELY) * (value / center)
    return Estimate(value=value, interval=(min(value, float(low)), max(value, float(high))))


def _warnings(parameters: Parameters, deployment: Deployment, tally: Tally) -> Iterable[str]:
    if overloaded(tally):
        yield "more requests come than are served: latencies grow with time, and these are of a moment"
    lengths = {"prompt_tokens": deployment.lengths.prompt, "output_tokens": deployment.lengths.output}
    yield from parameters.decode_fit.outside(batch=max(1.0, tally.batch), **lengths)
    if isinstance(deployment.models.prefill, LinearPrefill) and parameters.prefill_fit is not None:
        yield from parameters.prefill_fit.outside(prompt_tokens=deployment.lengths.prompt)
    if deployment.models.prefill is None and not hasattr(deployment.models.decode, "ttft"):
        yield f"nothing is known of prompts ({parameters.decode} tells ITL only): they are taken to cost no time"
    if parameters.decode_fit.covariance is None:
        yield "nothing is known of how sure the coefficients are: there are no intervals"
    if parameters.provenance.simulated:
        yield "the coefficients come from a simulated engine"


def _stretched(parameters: Parameters, deployment: Deployment, capacity: Capacity | None) -> Iterable[str]:
    """What is extrapolated at the highest rate; of one that the closed form does not reach, the full batch is."""
    if capacity is None or capacity.highest_rate.value == 0:
        return
    steady = deployment.queue.at(capacity.highest_rate.value)
    batch = deployment.batching.max_num_seqs if steady is None else max(1.0, steady.batch)
    for sentence in parameters.decode_fit.outside(batch=batch):
        yield f"at the highest rate, {sentence}"
