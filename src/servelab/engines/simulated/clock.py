"""Runs the scheduler in time, and hands each request its tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from servelab.batching.request import Request
from servelab.batching.scheduler import Limits, Scheduler
from servelab.engines.simulated.memory import kv_blocks, require_batch_fits
from servelab.engines.simulated.metrics import Latencies
from servelab.engines.simulated.options import Settings
from servelab.engines.simulated.pace import Execution, Pace

FORGIVEN = 0.25  # seconds of lateness that are made good; a longer standstill of the machine is let go


@dataclass
class _Client:
    deliver: Callable[[], None]
    arrived: float
    last: float | None = None


class StepLoop:
    """Steps the scheduler on an absolute time line, so that a late wake-up is made good by the next step."""

    def __init__(self, settings: Settings) -> None:
        plan = settings.memory
        self._settings = settings
        self._pace = Pace(settings.profile, Execution(plan.devices, plan.kv_bytes, plan.eager), settings.seed)
        self.latencies = Latencies()
        self.scheduler = Scheduler(
            Limits(
                max_num_seqs=plan.max_num_seqs,
                max_num_batched_tokens=plan.max_num_batched_tokens,
                block_size=plan.block_size,
                kv_blocks=kv_blocks(settings.profile, plan),
                prefix_caching=settings.prefix_caching,
                chunked_prefill=settings.chunked_prefill,
            )
        )
        self._clients: dict[Request, _Client] = {}
        self._work = asyncio.Event()

    def submit(self, request: Request, deliver: Callable[[], None]) -> None:
        """Queue a request; ``deliver`` is called for each of its tokens."""
        self._clients[request] = _Client(deliver, perf_counter())
        self.scheduler.add(request)
        self._work.set()

    def withdraw(self, request: Request) -> None:
        """Forget a request whose client went away or that is finished."""
        self._clients.pop(request, None)
        self.scheduler.remove(request)

    async def run(self) -> None:
        """Step for ever.

        Raises:
            OutOfMemoryError: the batch outgrew the memory left over by a high gpu_memory_utilization.
        """
        due = perf_counter()
        while True:
            step = self.scheduler.schedule()
            if not step.sequences:
                self._work.clear()
                await self._work.wait()
                due = perf_counter()
                continue
            require_batch_fits(self._settings.profile, self._settings.memory, step.sequences)
            due = max(due, perf_counter() - FORGIVEN) + self._pace.seconds(step) * self._settings.time_scale
            await asyncio.sleep(max(0.0, due - perf_counter()))
            ended = self.scheduler.commit(step).ended
            for request in (*self.scheduler.decoding, *ended):
                self._hand_over(request)

    def _hand_over(self, request: Request) -> None:
        client = self._clients.get(request)
        if client is None:
            return
        now = perf_counter()
        if client.last is None:
            self.latencies.ttft.observe(now - client.arrived)
        else:
            self.latencies.itl.observe(now - client.last)
        if request.finished:
            self.latencies.e2e.observe(now - client.arrived)
        client.last = now
        client.deliver()
