"""Put a load on a server: closed loop for concurrency, open loop for rates."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import NamedTuple

from servelab.harnesses.builtin.http import Client, Exchange
from servelab.harnesses.builtin.later import Later, Turns
from servelab.harnesses.builtin.prompts import Prompts, request_body, request_path
from servelab.harnesses.builtin.record import Record, chunk_intervals, record, token_intervals
from servelab.harnesses.builtin.shares import Share
from servelab.harnesses.builtin.start import Start
from servelab.harnesses.builtin.stream import Answer
from servelab.harnesses.builtin.window import Settling, Window
from servelab.spec.arrivals import due_times
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

FILL = 4  # requests per stream, at least, that a load as fast as possible needs to be one
HOPELESS = 10  # requests that all fail before anything succeeds: the measurement is given up

Keep = Callable[[Record, list[float], list[float]], None]
"""Takes a counted request's record, its token intervals and its chunk intervals in seconds."""


class AllFailed(Exception):
    """The first requests all failed; carries the answer of the last."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.error)
        self.answer = answer


class _Request(NamedTuple):
    """What is sent; a negative ``nth`` is warm-up."""

    nth: int
    prompt_tokens: int
    body: bytes


class LoadGenerator:
    """Sends the requests of one measurement."""

    def __init__(
        self,
        client: Client,
        model: str,
        workload: Workload,
        prompts: Prompts,
        share: Share,
        timeout: float,
        start: Start | None = None,
    ) -> None:
        self.in_flight = 0
        self.start = 0.0
        """When the counted part began, on ``time.perf_counter``."""
        self.busy_until = math.inf
        """When the last counted request was sent: until then every stream was busy, or arrivals kept coming."""
        self.done = 0
        self.asked = (0, 0.0)
        """Open loop: requests that were due so far, and when the last of them was, in seconds since the start."""
        self.last_sent = 0.0
        """When it was really sent, in seconds since the start."""
        self.waited = 0
        """Open loop: requests that were due while as many were in flight as may be."""
        self.settling = Settling()
        self._client = client
        self._model = model
        self._workload = workload
        self._path = request_path(workload)
        self._prompts = prompts
        self._share = share
        self._start = start or Start()
        self._timeout = timeout
        self.window = Window()
        self.on_begin: Callable[[], None] = lambda: None
        self._later = Later()
        self._read = self._succeeded = 0

    def flying(self) -> int | None:
        """Requests in flight, while the load is whole; None before and after."""
        whole = self.start and perf_counter() <= self.busy_until
        return self.in_flight if whole else None

    def moment(self) -> tuple[float, int] | None:
        """Seconds since requests count, and how many are in flight (of this process); None before."""
        return (perf_counter() - self.start, self.in_flight) if self.start else None

    async def run(self, seed: int, keep: Keep) -> None:
        """Warm up, then hold the load until its requests or seconds are over and all answers are in.

        Raises:
            AllFailed: nothing succeeded.
        """
        load = self._share.load
        if load.open_loop:
            await self._closed(1, iter(range(-1, -1 - load.warmup, -1)), keep)
            self._later.drain()
        if load.open_loop or not load.warmup:
            self._start.ready()
            await self._start.wait()
            self._begin()
        if load.open_loop:
            await self._open(load, seed, keep)
        else:
            streams = _streams(load)
            await self._closed(streams, self._numbers(load, streams), keep)
        self._later.drain()
        self.window.seconds = self.busy_until - self.start

    def _begin(self) -> None:
        """From now on requests count."""
        self.on_begin()
        self.done = 0
        self.start = self._start.at

    def _numbers(self, load: LoadPoint, streams: int) -> Iterator[int]:
        """Request numbers: negative ones to warm up, then those that count, until there are enough.

        Streams start all at once, and their first requests meet a crowd that never comes again. So each stream
        has at least one request of warm-up, if there is any, and counting begins without a pause; a process among
        several goes on with its warm-up until all are through with theirs.
        """
        if load.warmup:
            yield from range(-1, -1 - max(load.warmup, streams), -1)
            self._start.ready()
            further = itertools.count(-1 - max(load.warmup, streams), -1)
            while perf_counter() < self._start.at:
                yield next(further)
            self._begin()
        number = 0
        while (load.requests is None or number < load.requests) and (
            load.seconds is None or perf_counter() - self.start < load.seconds
        ):
            yield number
            number += 1
        self.busy_until = min(self.busy_until, perf_counter())

    async def _closed(self, streams: int, numbers: Iterator[int], keep: Keep) -> None:
        """Each stream sends its next request when its last one has ended."""

        async def stream() -> None:
            for number in numbers:
                await self._request(self._prepared(number), None, keep)
                await turns.next()

        turns = Turns()
        await _all(asyncio.ensure_future(stream()) for _ in range(max(1, streams)))

    async def _open(self, load: LoadPoint, seed: int, keep: Keep) -> None:
        """Requests are due at times that do not depend on the server; latency counts from then."""
        rng = random.Random(f"{self._workload.seed}/{seed}/arrivals")
        places = asyncio.Semaphore(self._share.max_concurrency)
        tasks: set[asyncio.Task[None]] = set()
        failures: list[BaseException] = []

        async def one(request: _Request, due: float) -> None:
            self.waited += places.locked()
            async with places:
                self.last_sent = perf_counter() - self.start
                await self._request(request, due, keep)

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                failures.append(task.exception() or AssertionError())

        arrivals = enumerate(due_times(load, rng, [row.when for row in self._prompts.trace]))
        own = (when for number, when in arrivals if self._share.has(number))
        for index, when in enumerate(own):
            due = self.start + when
            if failures or (load.seconds is not None and when > load.seconds):
                break
            self.asked = (index + 1, when)
            request = self._prepared(index)
            delay = due - perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            task = asyncio.ensure_future(one(request, due))
            tasks.add(task)
            task.add_done_callback(ended)
        self.busy_until = perf_counter()
        await _all(tasks)
        if failures:
            raise failures[0]

    def _prepared(self, index: int) -> _Request:
        """A request, made before its time: what that takes is no latency of the server's."""
        prompt = self._prompts[self._share.number(index)]
        return _Request(index, prompt.prompt_tokens, request_body(self._model, self._workload, prompt))

    async def _request(self, request: _Request, due: float | None, keep: Keep) -> None:
        intended = perf_counter() if due is None else due
        self.in_flight += 1
        try:
            exchange = await self._client.post(self._path, request.body, self._timeout)
        finally:
            self.in_flight -= 1
        self.done += 1

        def take(answer: Answer, exchange: Exchange) -> None:
            self._read += 1
            self._succeeded += answer.error is None
            if not self._succeeded and self._read >= HOPELESS:
                raise AllFailed(answer)
            self.window.add(answer, exchange.end, self.start, self.busy_until)
            if request.nth < 0:
                return  # warm-up
            if answer.chunks and answer.error is None:
                self.settling.add(answer.chunks[0] - intended, exchange.end - self.start)
            one = record(answer, self.start, intended, exchange.sent, exchange.end, request.prompt_tokens)
            keep(one, token_intervals(answer), chunk_intervals(answer))

        self._later.put(exchange, take)


def _streams(load: LoadPoint) -> int:
    """Streams of a closed loop: as asked, but `as fast as possible` keeps to what its requests can fill."""
    if load.kind == "throughput" and load.requests is not None:
        return max(1, min(int(load.level), load.requests // FILL))
    return int(load.level)


async def _all(tasks: Iterator[asyncio.Task[None]] | set[asyncio.Task[None]]) -> None:
    """Wait for all; the first error ends the others."""
    group = list(tasks)
    try:
        await asyncio.gather(*group)
    finally:
        for task in group:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*group, return_exceptions=True)
