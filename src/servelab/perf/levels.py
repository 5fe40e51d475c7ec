"""A study's load levels, simulated as a harness would measure them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from servelab.perf.capacity import OVERLOAD, highest_rate
from servelab.perf.deployment import Deployment, NotPredictableError, overloaded
from servelab.perf.simulator import Simulator
from servelab.perf.tally import Tally
from servelab.spec.base import Spec
from servelab.spec.goal import Constraint, RequestSLO
from servelab.spec.load import Load, LoadPoint


class Level(Spec):
    """A simulated load level; metrics by the names of spec/metrics.py, in SI units."""

    load: LoadPoint
    metrics: dict[str, float]
    requests: int
    batch: float = Field(description="sequences in a step, on average")
    preemptions: int = 0
    warnings: tuple[str, ...] = ()


def simulate_level(deployment: Deployment, load: LoadPoint, slo: RequestSLO, seed: int) -> Level:
    """One load level.

    Raises:
        TooLargeError: a request is larger than the KV cache.
    """
    return _level(load, Simulator(deployment.engine, deployment.workload, load, seed, slo).run())


def _level(load: LoadPoint, tally: Tally) -> Level:
    return Level(
        load=load,
        metrics=tally.metrics(),
        requests=tally.requests,
        batch=tally.batch,
        preemptions=tally.preemptions,
        warnings=(OVERLOAD,) if load.open_loop and overloaded(tally) else (),
    )


def simulate_load(
    deployment: Deployment, load: Load, slo: RequestSLO, constraints: tuple[Constraint, ...], seed: int
) -> Iterator[Level]:
    """Every level of a load, one after another; a saturation search ends with the highest rate that keeps the SLO.

    Raises:
        NotPredictableError: a search for anything but a rate.
    """
    if load.saturation is not None:
        if load.saturation.of != "rate":
            raise NotPredictableError(
                f"a saturation search of {load.saturation.of} is not simulated", "Give the levels, or search a rate."
            )
        requests = load.saturation.max_requests or 4 * (load.requests or 1000)
        found = highest_rate(deployment, constraints, requests, seed)
        if found.rate == 0:
            raise NotPredictableError(f"no rate keeps the SLO: even the lowest misses {found.limited_by}", "Loosen it.")
        # What the search has seen of that rate: another sample of requests may well miss what is kept only just.
        yield _level(
            LoadPoint(kind="poisson", level=found.rate, requests=requests), deployment.at(found.rate, requests, seed)
        )
        return
    rates = []
    for point in load.points:
        level = simulate_level(deployment, point, slo, seed)
        rates.append(level.metrics["request_throughput"])
        yield level
    if load.sweep:
        for point in load.between(*rates):
            yield simulate_level(deployment, point, slo, seed)
