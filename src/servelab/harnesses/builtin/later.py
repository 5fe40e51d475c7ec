"""What may wait until the network has been looked at, so that it makes no other stream's times late."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

from servelab.harnesses.builtin.http import Exchange
from servelab.harnesses.builtin.stream import Answer, read, reading

MOST = 1024  # exchanges that may wait; beyond, memory counts more than lateness


class Turns:
    """Lets one stream go on in each turn of the event loop.

    When many streams end at once, each one's next request would otherwise be made before the others' last chunks are
    looked at, and their times would be late by all of that work.
    """

    def __init__(self) -> None:
        self._queue: deque[asyncio.Future[None]] = deque()

    async def next(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        self._queue.append(mine)
        if len(self._queue) == 1:
            loop.call_soon(self._turn)
        await mine

    def _turn(self) -> None:
        first = self._queue.popleft()
        if not first.done():
            first.set_result(None)
        if self._queue:
            asyncio.get_running_loop().call_soon(self._turn)


@dataclass
class _Waiting:
    exchange: Exchange
    take: Callable[[Answer, Exchange], None]
    steps: Generator[None, None, Answer]


class Later:
    """Reads ended exchanges, one step (60 us) in each turn of the event loop.

    What ``take`` raises is kept, and raised where the next exchange is put or all are waited for.
    """

    def __init__(self) -> None:
        self._queue: deque[_Waiting] = deque()
        self._scheduled = False
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, exchange: Exchange, take: Callable[[Answer, Exchange], None]) -> None:
        """Have ``take`` called with the answer, some time."""
        self._raise()
        self._queue.append(_Waiting(exchange, take, reading(exchange)))
        while len(self._queue) > MOST:
            self._step(to_end=True)
        if not self._scheduled:
            self._scheduled = True
            self._loop = self._loop or asyncio.get_running_loop()
            self._loop.call_soon(self._turn)

    def drain(self) -> None:
        """Read all that waits."""
        while self._queue and self._failure is None:
            self._step(to_end=True)
        self._raise()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _turn(self) -> None:
        if self._queue and self._failure is None:
            self._step(to_end=False)
        self._scheduled = bool(self._queue) and self._failure is None
        if self._scheduled and self._loop is not None:
            self._loop.call_soon(self._turn)

    def _step(self, to_end: bool) -> None:
        first = self._queue[0]
        try:
            next(first.steps)
        except StopIteration as end:
            self._queue.popleft()
            self._take(first, end.value)
            return
        if to_end:
            self._queue.popleft()
            self._take(first, read(first.exchange))

    def _take(self, one: _Waiting, answer: Answer) -> None:
        try:
            one.take(answer, one.exchange)
        except Exception as error:  # noqa: BLE001 - it is raised again in put and drain
            self._failure = error
