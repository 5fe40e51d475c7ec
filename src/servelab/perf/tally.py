"""What a simulated load level comes to, in memory that stays the same however many requests there are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from servelab.perf.traffic import Timed
from servelab.spec.distribution import Distribution
from servelab.spec.goal import RequestSLO

PERCENTS = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
MIN_BUSY_SHARE = 0.3  # of a measurement, for the time of whole load to speak for it
FINE = 4096  # a distribution does not tell values apart that differ by less than this part


TOLD = (
    *(f"{name}_{which}" for name in ("ttft", "itl", "tpot", "e2e") for which in ("mean", *PERCENTS)),
    "request_throughput",
    "output_throughput",
    "total_throughput",
    "concurrency",
)
"""The metrics that every simulation tells."""


class Mark(NamedTuple):
    """What there was at a moment."""

    now: float
    generated: int
    ended: int
    prompts: int


@dataclass
class Tally:
    """Latencies in seconds of the requests that count, and what the engine did in the meantime.

    ``overhead`` is what a request spends outside of the engine's steps, in seconds.
    """

    overhead: float = 0.0
    slo: RequestSLO = field(default_factory=RequestSLO)
    ttft: Distribution = field(default_factory=Distribution)
    itl: Distribution = field(default_factory=Distribution)
    tpot: Distribution = field(default_factory=Distribution)
    e2e: Distribution = field(default_factory=Distribution)
    kept: int = 0
    """Requests that kept the SLO."""
    ended: int = 0
    """Requests that ended, warm-up included."""
    prompts: int = 0
    """Prompt tokens of those."""
    opened: Mark | None = None
    """When the first request that counts arrived."""
    closed: Mark | None = None
    """When the last one arrived."""
    finished: Mark | None = None
    """When the last one had ended."""
    backlog: int = 0
    """Requests that waited when the last one arrived."""
    batch: float = 0.0
    """Sequences in a step, averaged over the time that steps took."""
    preemptions: int = 0

    @property
    def requests(self) -> int:
        """Requests that were counted."""
        return len(self.e2e)

    def steps(self, sequences: int, first: float, last: float, times: int) -> None:
        """Count the token intervals of ``times`` steps that took from ``first`` to ``last`` seconds, evenly."""
        if times == 1:
            self.itl.repeat(first, sequences)
            return
        pieces = min(times, 1 + math.ceil(abs(last / first - 1) * FINE))
        for piece in range(pieces):
            below, above = piece * times // pieces, (piece + 1) * times // pieces
            middle = (below + above - 1) / 2
            value = first + (last - first) * middle / (times - 1)
            self.itl.repeat(value, sequences * (above - below))

    def end(self, request: Timed, now: float) -> None:
        """Count a request that got its last token."""
        ttft, e2e = request.first - request.arrived + self.overhead, now - request.arrived + self.overhead
        self.ttft.append(ttft)
        self.e2e.append(e2e)
        tpot = (e2e - ttft) / (request.output - 1) if request.output > 1 else None
        if tpot is not None:
            self.tpot.append(tpot)
        if self.slo.asked and all(self.slo.kept(ttft, tpot, e2e).values()):
            self.kept += 1

    def metrics(self) -> dict[str, float]:
        """The values by the names of spec/metrics.py, in SI units."""
        found = {}
        for name in ("ttft", "itl", "tpot", "e2e"):
            values: Distribution = getattr(self, name)
            if len(values):
                found[f"{name}_mean"] = values.mean
                quantiles = values.quantiles(tuple(PERCENTS.values()))
                found |= {f"{name}_{key}": value for key, value in zip(PERCENTS, quantiles, strict=True)}
        found |= self._rates()
        if self.slo.asked and self.requests:
            found["goodput_ratio"] = self.kept / self.requests
            found["goodput"] = found["goodput_ratio"] * found.get("request_throughput", 0.0)
        return found

    def _rates(self) -> dict[str, float]:
        """Per second, while the load was whole; of a load that was hardly ever whole, until all was over."""
        if self.opened is None or self.closed is None or self.finished is None:
            return {}
        whole = self.closed.now - self.opened.now
        all_over = self.finished.now - self.opened.now
        last = self.closed if whole >= MIN_BUSY_SHARE * all_over else self.finished
        seconds = last.now - self.opened.now
        generated, ended, prompts = (last[n] - self.opened[n] for n in (1, 2, 3))
        return {
            "request_throughput": ended / seconds,
            "output_throughput": generated / seconds,
            "total_throughput": (generated + prompts) / seconds,
            "concurrency": self.e2e.mean * ended / seconds,
        }
