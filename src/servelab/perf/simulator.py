"""Continuous batching on virtual time: the scheduler of ``batching``, with step times from a model.

Between an arrival, a prompt that is done, a sequence that ends and a full cache, steps are alike; they are taken all at
once, and exactly. The same seed gives the same requests, arrivals and times.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple, cast

from servelab.batching.scheduler import Limits, Progress, Scheduler, Step
from servelab.batching.steptime import StepTime
from servelab.perf.source import source
from servelab.perf.tally import Mark, Tally
from servelab.perf.traffic import Timed, Traffic
from servelab.spec.errors import ServelabError
from servelab.spec.goal import RequestSLO
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload


@dataclass(frozen=True)
class Engine:
    """What is simulated: the scheduler's limits, the time of a step, and a request's seconds outside of steps."""

    limits: Limits
    time: StepTime
    overhead: float = 0.0


class TooLargeError(ServelabError):
    """A request that the engine's KV cache could not hold."""

    exit_code = 2


class Span(NamedTuple):
    """``times`` alike steps, the first and the last of which take so many seconds, all of them ``seconds``."""

    times: int
    first: float
    last: float
    seconds: float


def roomy(workload: Workload, max_num_seqs: int, block_size: int) -> int:
    """Blocks of a KV cache that never gets full."""
    shared = workload.prefix.tokens * workload.prefix.groups if workload.prefix else 0
    return max_num_seqs * -(-workload.longest // block_size) + -(-shared // block_size)


class Simulator:
    """One load level on one engine; its first ``warmup`` requests do not count.

    By default, as with the builtin harness, an open loop counts from the first request on, a closed one warms up
    with at least a request per stream, if it warms up.
    """

    def __init__(
        self,
        engine: Engine,
        workload: Workload,
        load: LoadPoint,
        seed: int = 0,
        slo: RequestSLO | None = None,
        warmup: int | None = None,
    ) -> None:
        limits = engine.limits
        self.scheduler = Scheduler(limits)
        self.tally = Tally(overhead=engine.overhead, slo=slo or RequestSLO())
        self.now = 0.0
        self._seconds = engine.time.seconds
        full = limits.kv_blocks < roomy(workload, limits.max_num_seqs, limits.block_size)
        traffic = Traffic(workload, seed, limits.block_size, own_blocks=full and limits.prefix_caching)
        if warmup is None:
            warmup = max(load.warmup, int(load.level)) if load.warmup and not load.open_loop else 0
        self._source = source(load, traffic, warmup, engine.overhead)
        self._warm = 0
        """Requests of the warm-up that are in flight."""
        self._preemptions = 0
        self._busy = self._sequences = 0.0

    def run(self) -> Tally:
        """Simulate until all requests have ended.

        Raises:
            TooLargeError: a request is larger than the KV cache.
        """
        scheduler, tally = self.scheduler, self.tally
        while True:
            if self._source.due < self.now:
                self._arrive()
            step = scheduler.schedule()
            if not step.sequences:
                if self._source.over:
                    break
                self.now = max(self.now, self._source.due)
                self._arrive(at_once=True)
                continue
            if scheduler.counters.preemptions != self._preemptions:
                self._note_preempted()
            span = self._span(step)
            progress = scheduler.commit(step, span.times)
            self.now += span.seconds
            self._busy += span.seconds
            self._sequences += span.seconds * step.sequences
            if step.decode and not self._warm:
                tally.steps(step.decode, span.first, span.last, span.times)
            if progress.started or progress.ended:
                self._take(progress)
        return self._closed()

    def _arrive(self, at_once: bool = False) -> None:
        """Queue the requests that came before now; with ``at_once``, for nobody runs, what comes right now too."""
        source = self._source
        while source.due < self.now or (at_once and source.due == self.now):
            request = source.pop()
            if not self.scheduler.fits(request):
                raise TooLargeError(
                    f"a request of {request.prompt} + {request.output} tokens is larger than the KV cache "
                    f"of {self.scheduler.limits.kv_blocks * self.scheduler.limits.block_size} tokens",
                    "Give the cache more tokens, or the workload shorter requests.",
                )
            self.scheduler.add(request)
            if not request.counted:
                self._warm += 1
            elif self.tally.opened is None:
                self.tally.opened = self._mark(request.arrived)
            self._note_over(request.arrived)

    def _note_over(self, now: float) -> None:
        """Note when nobody comes any more: from then on the load is no longer whole."""
        if self._source.over and self.tally.closed is None:
            self.tally.closed = self._mark(now)
            self.tally.backlog = len(self.scheduler.waiting)

    def _mark(self, now: float) -> Mark:
        return Mark(now, self.scheduler.counters.generated, self.tally.ended, self.tally.prompts)

    def _span(self, step: Step) -> Span:
        """How many steps like this one can be taken before somebody comes, and how long they take."""
        first = self._seconds(step.prefill, step.decode, step.context)
        if step.repeats == 1:
            return Span(1, first, first, first)
        more = self._seconds(0, step.decode, step.context + step.decode) - first
        times, due = step.repeats, self._source.due
        if due != math.inf:
            # Of the steps that begin by then, the last: the root of i (first - more / 2) + i^2 more / 2 = due - now.
            ahead, straight = max(0.0, due - self.now), first - more / 2
            started = 2 * ahead / (straight + math.sqrt(straight * straight + 2 * more * ahead))
            times = min(times, 1 + int(started))
        return Span(times, first, first + more * (times - 1), times * (first + more * (times - 1) / 2))

    def _note_preempted(self) -> None:
        """Those that gave up their blocks wait in front; their next token comes late."""
        count = self.scheduler.counters.preemptions - self._preemptions
        self._preemptions += count
        for request in itertools.islice(self.scheduler.waiting, count):
            one = cast("Timed", request)
            if one.generated and one.last < 0:
                one.last = self.now

    def _take(self, progress: Progress) -> None:
        """Note first tokens and ends."""
        for request in progress.started:
            one = cast("Timed", request)
            if one.last >= 0:
                if one.counted:
                    self.tally.itl.append(self.now - one.last)
                one.last = -1.0
            else:
                one.first = self.now
        for request in progress.ended:
            one = cast("Timed", request)
            self._source.ended(self.now)
            self.tally.ended += 1
            self.tally.prompts += one.prompt
            if one.counted:
                self.tally.end(one, self.now)
            else:
                self._warm -= 1
        self._note_over(self.now)

    def _closed(self) -> Tally:
        tally = self.tally
        tally.finished = self._mark(self.now)
        tally.preemptions = self._preemptions
        tally.batch = self._sequences / self._busy if self._busy else 0.0
        return tally
