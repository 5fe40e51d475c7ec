"""What matters: how results change when one input grows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from servelab.perf.deployment import Deployment
from servelab.perf.prediction import Effect
from servelab.spec.workload import Tokens

MORE = 1.1
METRICS = ("ttft_p95", "itl_p95", "e2e_p95")


def effects(deployment: Deployment, rate: float, requests: int, seed: int) -> tuple[Effect, ...]:
    """The effect of a tenth more of the rate, the lengths, and each coefficient, on the same requests."""
    before = deployment.at(rate, requests, seed).metrics()
    found = []
    for of, changed, pace in _changes(deployment, rate):
        after = changed.at(pace, requests, seed).metrics()
        shares = {m: after[m] / before[m] - 1 for m in METRICS if before.get(m) and after.get(m)}
        capacity = changed.queue.capacity / deployment.queue.capacity - 1
        found.append(Effect(of=of, greatest_rate=capacity, **shares))
    return tuple(found)


def _changes(deployment: Deployment, rate: float) -> Iterator[tuple[str, Deployment, float]]:
    """Name of the input, the deployment with more of it, and its rate."""
    yield "request rate", deployment, rate * MORE
    workload = deployment.workload
    for name, title in (("prompt", "prompt tokens"), ("output", "output tokens")):
        longer = workload.model_copy(update={name: _longer(getattr(workload, name))})
        yield title, dataclasses.replace(deployment, workload=longer), rate
    for title, models in deployment.models.changes(MORE):
        yield title, dataclasses.replace(deployment, models=models), rate


def _longer(tokens: Tokens) -> Tokens:
    """A length distribution stretched by MORE."""
    scaled = {name: value * MORE for name in ("mean", "stdev") if (value := getattr(tokens, name))}
    bounds = {"min": max(1, round(tokens.min * MORE)), "max": None if tokens.max is None else round(tokens.max * MORE)}
    if tokens.distribution == "uniform":
        scaled["mean"] = (bounds["min"] + bounds["max"]) / 2  # type: ignore[operator]
    if tokens.distribution == "fixed":
        whole = max(1, round(tokens.mean * MORE))
        return Tokens(distribution="fixed", mean=whole, min=whole, max=whole)
    return tokens.model_copy(update={**scaled, **bounds})
