"""Runs the scheduler in time, and hands each request its tokens."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from time import perf_counter

from servelab.engines.simulated.options import Settings, kv_blocks
from servelab.engines.simulated.scheduler import Limits, Request, Scheduler

NOISE = 0.02  # standard deviation of a step's length, as a share
EAGER_S = 0.003  # what a step costs more without captured graphs
TIGHT_GB = 1.0  # with less memory than this left over, a large batch runs out of it
TIGHT_SEQS = 48


class OutOfMemory(Exception):
    """The batch needed more memory than was left."""


class StepLoop:
    """Steps the scheduler on an absolute time line, so that a late wake-up is made good by the next step."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.scheduler = Scheduler(
            Limits(
                max_num_seqs=settings.max_num_seqs,
                max_num_batched_tokens=settings.max_num_batched_tokens,
                block_size=settings.block_size,
                kv_blocks=kv_blocks(settings),
                prefix_caching=settings.prefix_caching,
                chunked_prefill=settings.chunked_prefill,
            )
        )
        self._rng = random.Random(settings.seed)
        self._deliver: dict[Request, Callable[[], None]] = {}
        self._work = asyncio.Event()

    def submit(self, request: Request, deliver: Callable[[], None]) -> None:
        """Queue a request; ``deliver`` is called for each of its tokens."""
        self._deliver[request] = deliver
        self.scheduler.add(request)
        self._work.set()

    def withdraw(self, request: Request) -> None:
        """Forget a request whose client went away or that is finished."""
        self._deliver.pop(request, None)
        self.scheduler.remove(request)

    async def run(self) -> None:
        """Step for ever.

        Raises:
            OutOfMemory: the batch outgrew the memory left over by a high gpu_memory_utilization.
        """
        due = perf_counter()
        while True:
            step = self.scheduler.schedule()
            if step.empty:
                self._work.clear()
                await self._work.wait()
                due = perf_counter()
                continue
            self._require_memory(len(step.work))
            due += self._seconds(step.prefill, step.decode, step.context)
            await asyncio.sleep(max(0.0, due - perf_counter()))
            for request in self.scheduler.commit(step):
                deliver = self._deliver.get(request)
                if deliver is not None:
                    deliver()

    def _seconds(self, prefill: int, decode: int, context: int) -> float:
        s = self._settings
        seconds = s.profile.step_seconds(prefill, decode, context, s.devices, s.kv_bytes) + EAGER_S * s.eager
        return seconds * math.exp(self._rng.gauss(0.0, NOISE)) * s.time_scale

    def _require_memory(self, sequences: int) -> None:
        s = self._settings
        if sequences > TIGHT_SEQS and s.profile.device_gb * (1 - s.gpu_memory_utilization) < TIGHT_GB:
            raise OutOfMemory
