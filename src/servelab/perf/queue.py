"""A closed-form answer: an inference server as a queue whose service rate depends on the batch.

Source: the queueing-model analyzer of the llm-d Workload Variant Autoscaler, llm-inferno/queue-analysis
(pkg/analyzer/queueanalyzer.go and pkg/queue/mm1modelstatedependent.go): a birth-death chain of the number of requests
in the system, M/M/1 with state-dependent service. It knows means; percentiles are the simulator's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from servelab.batching.steptime import StepTime
from servelab.perf.models import Lengths

QUEUE = 10.0  # places to wait, in multiples of the batch; the chain has to end somewhere
NEARLY = 1 - 1e-3  # of the greatest rate: above it, the chain is all queue


@dataclass(frozen=True)
class Steady:
    """A server in equilibrium; means, in seconds and requests."""

    rate: float
    ttft: float
    itl: float
    e2e: float
    wait: float
    """For a place in the batch."""
    batch: float
    utilization: float
    """Share of the greatest rate."""


class Queue:
    """Requests of given mean lengths at an engine of at most ``max_batch`` sequences."""

    def __init__(self, time: StepTime, lengths: Lengths, max_batch: int, overhead: float = 0.0) -> None:
        self._lengths = lengths
        self._overhead = overhead
        self._batches = np.arange(1, max_batch + 1)
        self._itl = np.array([step(time, lengths, batch) for batch in range(1, max_batch + 1)])
        self._prefill = np.array([joining(time, lengths, batch) for batch in range(1, max_batch + 1)])
        self._service = self._prefill + self._itl * max(0.0, lengths.output - 1)
        self._rates = self._batches / self._service
        services = np.concatenate([self._rates, np.full(int(QUEUE * max_batch), self._rates[-1])])
        self._logs = np.concatenate([[0.0], -np.cumsum(np.log(services))])
        self._states = np.arange(len(self._logs))

    @property
    def capacity(self) -> float:
        """The greatest rate in requests/s."""
        return float(self._rates.max())

    def at(self, rate: float) -> Steady | None:
        """The equilibrium at ``rate`` requests/s; None where there is none."""
        if not 0 < rate < NEARLY * self.capacity:
            return None
        size = len(self._rates)
        logs = self._logs + self._states * math.log(rate)
        chances = np.exp(logs - logs.max())
        chances /= chances.sum()
        done = rate * (1 - chances[-1])
        # Sums, not products of vectors: for those BLAS starts threads, which take longer than the work.
        batch = float(np.sum(np.minimum(self._states, size) * chances))
        system, service = float(np.sum(self._states * chances)) / done, batch / done
        # The requests see the batch in the share in which it serves them.
        share = chances[1 : size + 1].copy()
        share[-1] += chances[size + 1 :].sum()
        share *= self._batches
        share /= share.sum()
        wait = max(0.0, system - service)
        prefill, itl = float(np.sum(share * self._prefill)), float(np.sum(share * self._itl))
        ttft = wait + prefill + self._overhead
        e2e = ttft + itl * max(0.0, self._lengths.output - 1)
        return Steady(rate, ttft, itl, e2e, wait, batch, rate / self.capacity)

    def highest(self, ttft: float | None, itl: float | None, e2e: float | None = None) -> float:
        """The highest rate in requests/s whose mean latencies keep these bounds in seconds; 0 where none does."""
        low, high = 0.0, NEARLY * self.capacity
        for _ in range(40):
            middle = (low + high) / 2
            found = self.at(middle)
            kept = found is not None and all(
                bound is None or value <= bound
                for value, bound in ((found.ttft, ttft), (found.itl, itl), (found.e2e, e2e))
            )
            low, high = (middle, high) if kept else (low, middle)
        return low


def step(time: StepTime, lengths: Lengths, batch: float) -> float:
    """Seconds of a step on average: ``batch / output`` prompts join in it, the others decode."""
    joined = batch / max(1.0, lengths.output)
    others = batch - joined
    read = lengths.prompt + lengths.output / 2
    return time.seconds(joined * lengths.prompt, others, batch * read)


def joining(time: StepTime, lengths: Lengths, batch: float) -> float:
    """Seconds from the place in the batch to the first token: the step in which the prompt is computed.

    A request comes in the middle of another step, on average, unless it is alone.
    """
    others = batch - 1
    own = time.seconds(lengths.prompt, others, lengths.prompt + others * (lengths.prompt + lengths.output / 2))
    return own + min(1.0, others) * step(time, lengths, max(1.0, others)) / 2
