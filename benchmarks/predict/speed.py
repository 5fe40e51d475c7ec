"""How many requests a core simulates in a second, and where the time goes."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from servelab.batching.scheduler import Limits
from servelab.batching.steptime import LinearStepTime, StepTime
from servelab.perf.simulator import Engine, Simulator, roomy
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

BATCH = 64
FEW, MANY = 10_000, 1_000_000  # requests, between which memory may not grow
BY_BATCH = LinearStepTime(base_s=0.00697, prefill_s=33e-6, decode_s=0.000027)
BY_CONTEXT = LinearStepTime(base_s=0.0064, prefill_s=33e-6, decode_s=12e-6, context_s=65e-9)
FIXED = Workload.model_validate({"prompt": 128, "output": 128})
DRAWN = Workload.model_validate({"prompt": {"mean": 128, "stdev": 32}, "output": {"mean": 128, "stdev": 32}})


@dataclass(frozen=True)
class Speed:
    """Of one way to ask: requests per second of CPU time, and MiB that ``MANY`` take beyond ``FEW``."""

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
    return [_speed(title, partial(_run, workload, load, step), requests) for title, workload, load, step in ways]


def _speed(title: str, run: Callable[[int], float], requests: int) -> Speed:
    return Speed(title, max(run(requests) for _ in range(3)), grown(run))


def grown(run: Callable[[int], object], few: int = FEW, many: int = MANY) -> float:
    """MiB by which the peak of a fresh process that runs ``many`` requests exceeds that of one that runs ``few``."""
    return _peak(run, many) - _peak(run, few)


def _peak(run: Callable[[int], object], requests: int) -> float:
    with get_context("spawn").Pool(1) as fresh:
        return fresh.apply(_watched, (run, requests))


def _watched(run: Callable[[int], object], requests: int) -> float:
    run(requests)
    # Not getrusage: its peak outlives exec, and so holds that of the process that started this one.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _run(workload: Workload, load: LoadPoint, step: StepTime, requests: int) -> float:
    simulator = _simulator(workload, load.model_copy(update={"requests": requests}), step)
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
