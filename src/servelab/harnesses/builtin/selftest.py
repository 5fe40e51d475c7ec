"""Holds what a harness reports against what a server of known schedule really did.

For users: `servelab doctor --harness`. The benchmark of harnesses (benchmarks/harness/) is made of the same parts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Self

from servelab.harnesses.base import Job, harness
from servelab.harnesses.builtin.known import Schedule
from servelab.spec.deployment import Deployment
from servelab.spec.distribution import Distribution
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

COMMAND = (sys.executable, "-m", "servelab.harnesses.builtin.known")
LATENCIES = ("ttft", "itl", "tpot", "e2e")
PERCENTS = (50, 95, 99)
ANSWER_TIMEOUT = 60.0  # seconds

STREAMS = (1, 16, 64, 256)
TOKENS = 64
SCHEDULE = Schedule(ttft=0.05, itl=0.02)
MAX_TTFT_BIAS = 0.005  # seconds at the median: beyond it the client's own work shows
MAX_TPOT_BIAS = 0.01  # share, at 95 %
MAX_SLOPE = 1e-6  # seconds per request in flight


@dataclass(frozen=True)
class Case:
    """A load on a server of known schedule."""

    schedule: Schedule
    streams: int
    requests: int
    tokens: int

    def job(self, url: str, directory: Path, cpus: tuple[int, ...]) -> Job:
        """The measurement a harness is to make of it."""
        return Job(
            deployment=Deployment(url=f"{url}{self.schedule.path}", model="known", engine="known", simulated=True),
            workload=Workload.model_validate({"name": "known", "prompt": 16, "output": self.tokens}),
            load=LoadPoint(kind="concurrency", level=self.streams, requests=self.requests, warmup=1),
            seed=1,
            directory=directory,
            max_concurrency=self.streams,
            cpus=cpus,
        )


@dataclass(frozen=True)
class Truth:
    """What the server sent, of the last requests: quantiles and means in seconds, named as metrics are."""

    metrics: Mapping[str, float]
    request_rate: float
    """Requests per second, from the first's arrival to the last one's end."""
    token_rate: float
    first_contact: float
    """When the first generation was asked for, on ``time.perf_counter``."""


class ServerProcess:
    """The server of known schedule in a process of its own."""

    def __init__(self, core: int | None = None) -> None:
        self._command = (*COMMAND, *(() if core is None else (str(core),)))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def truth(self, case: Case) -> Truth:
        """What it really did with the last requests of a case."""
        with urllib.request.urlopen(f"{self.url}/truth?last={case.requests}", timeout=ANSWER_TIMEOUT) as answer:  # noqa: S310 - our own server
            found = json.load(answer)
        return summarise(found["sent"], case, found["first_contact"])


def summarise(sent: Sequence[Sequence[float]], case: Case, first_contact: float) -> Truth:
    """The truth from each request's arrival and its chunks' times of sending."""
    per = case.tokens / len(range(0, case.tokens, case.schedule.per))
    latencies = {
        "ttft": Distribution(times[1] - times[0] for times in sent),
        "e2e": Distribution(times[-1] - times[0] for times in sent),
        "itl": Distribution((b - a) / per for times in sent for a, b in pairwise(times[1:])),
        "tpot": Distribution((times[-1] - times[1]) / (len(times) - 2) / per for times in sent if len(times) > 2),
    }
    metrics = {f"{name}_mean": values.mean for name, values in latencies.items()}
    for name, values in latencies.items():
        metrics |= {f"{name}_p{p}": v for p, v in zip(PERCENTS, values.quantiles(PERCENTS), strict=True)}
    span = max(times[-1] for times in sent) - min(times[0] for times in sent)
    rate = len(sent) / max(span, 1e-9)
    return Truth(metrics, rate, rate * case.tokens, first_contact)


def biases(reported: Mapping[str, float], truth: Truth) -> dict[str, float]:
    """Reported less true, in seconds, of all that was reported."""
    return {name: reported[name] - true for name, true in truth.metrics.items() if name in reported}


def slope(points: Mapping[int, float]) -> float:
    """Least squares beta of value = alpha + beta * key."""
    mean_x, mean_y = fmean(points), fmean(points.values())
    return sum((x - mean_x) * (y - mean_y) for x, y in points.items()) / sum((x - mean_x) ** 2 for x in points)


@dataclass(frozen=True)
class Outcome:
    """How far the builtin harness was from the truth on this machine; seconds."""

    streams: int
    bias: Mapping[str, float]
    tpot_error: float
    """Of the 95 % quantile, as a share."""
    cpu: float | None

    @property
    def good(self) -> bool:
        """Whether latencies at this concurrency can be believed."""
        return self.bias["ttft_p50"] <= MAX_TTFT_BIAS and abs(self.tpot_error) <= MAX_TPOT_BIAS


async def measure(streams: int) -> Outcome:
    """Measure at a concurrency; client and server have a core each where there are two.

    Raises:
        MeasureError: the measurement cannot be made at all.
    """
    cores = sorted(os.sched_getaffinity(0))
    case = Case(SCHEDULE, streams, max(4, 2 * streams), TOKENS)
    with ServerProcess(cores[-1]) as server, tempfile.TemporaryDirectory() as directory:
        job = case.job(server.url, Path(directory), (cores[0],))
        report = await harness("builtin", {}).measure(job, lambda progress: None)
        truth = server.truth(case)
    bias = biases(report.metrics, truth)
    tpot_error = bias["tpot_p95"] / truth.metrics["tpot_p95"]
    return Outcome(streams, bias, tpot_error, report.client.cpu)


def spurious_slope(found: Sequence[Outcome]) -> float:
    """Seconds of ITL that each request in flight seems to cost, beyond what the server really took."""
    return slope({one.streams: one.bias["itl_mean"] for one in found})
