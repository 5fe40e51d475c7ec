"""How many requests a core simulates in a second, and where the time goes."""

from __future__ import annotations

import cProfile
import pstats
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from servelab.batching.scheduler import Limits
from servelab.batching.steptime import LinearStepTime, StepTime
from servelab.perf.simulator import Engine, Simulator, roomy
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

BATCH = 64
BY_BATCH = LinearStepTime(base_s=0.00697, prefill_s=33e-6, decode_s=0.000027)
BY_CONTEXT = LinearStepTime(base_s=0.0064, prefill_s=33e-6, decode_s=12e-6, context_s=65e-9)
FIXED = Workload.model_validate({"prompt": 128, "output": 128})
DRAWN = Workload.model_validate({"prompt": {"mean": 128, "stdev": 32}, "output": {"mean": 128, "stdev": 32}})


@dataclass(frozen=True)
class Speed:
    """Of one way to ask: requests per second of CPU time, and MiB of memory that the second half took."""

    title: str
    rate: float
    grown: float


def speeds(requests: int) -> list[Speed]:
    """The best of three runs of each."""
    closed = LoadPoint(kind="concurrency", level=BATCH, requests=requests, warmup=1)
    ways = (
        ("64 streams, all alike", FIXED, closed, BY_BATCH),
        ("64 streams, lengths drawn", DRAWN, closed, BY_BATCH),
        ("64 streams, lengths drawn, step time by context", DRAWN, closed, BY_CONTEXT),
        ("Poisson, about 58 in a batch", FIXED, LoadPoint(kind="poisson", level=45, requests=requests), BY_CONTEXT),
    )
    return [_speed(title, workload, load, step) for title, workload, load, step in ways]


def _speed(title: str, workload: Workload, load: LoadPoint, step: StepTime) -> Speed:
    best = 0.0
    for _ in range(2):
        best = max(best, _run(workload, load, step))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best = max(best, _run(workload, load, step))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Speed(title, best, (after - before) / 1024)


def _run(workload: Workload, load: LoadPoint, step: StepTime) -> float:
    simulator = _simulator(workload, load, step)
    began = time.process_time()
    tally = simulator.run()
    return tally.ended / (time.process_time() - began)


def _simulator(workload: Workload, load: LoadPoint, step: StepTime) -> Simulator:
    return Simulator(Engine(Limits(BATCH, 8192, 16, roomy(workload, BATCH, 16)), step), workload, load)


def profile(requests: int, lines: int = 12) -> list[tuple[str, float]]:
    """The functions that take most, as shares of all time, of Poisson arrivals."""
    load = LoadPoint(kind="poisson", level=45, requests=requests)
    simulator = _simulator(FIXED, load, BY_CONTEXT)
    profiler = cProfile.Profile()
    profiler.runcall(simulator.run)
    found = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    whole = sum(entry[2] for entry in found.values())
    ordered = sorted(found.items(), key=lambda item: -item[1][2])[:lines]
    return [(f"{Path(file).stem}.{name}", entry[2] / whole) for (file, _, name), entry in ordered]
