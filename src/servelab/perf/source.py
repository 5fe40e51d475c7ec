"""Who sends the next request, and when: an open loop by its arrivals, a closed one when an answer has come."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from servelab.perf.traffic import Timed, Traffic
from servelab.spec.load import LoadPoint


class Source(Protocol):
    """Sends the requests of a load level."""

    due: float
    """When the next request comes, in seconds; infinite where none does, or where one has to end first."""
    over: bool
    """Whether no more will come."""

    def pop(self) -> Timed:
        """The request that is due."""
        ...

    def ended(self, now: float) -> None:
        """A request ended."""
        ...


def source(load: LoadPoint, traffic: Traffic, warmup: int, think: float) -> Source:
    """The source of a load level, whose first ``warmup`` requests do not count.

    ``think`` is how long a stream of a closed loop takes from an answer to its next request, in seconds.
    """
    return Open(load, traffic, warmup) if load.open_loop else Closed(load, traffic, warmup, think)


class Open:
    """Requests are due at times that do not depend on the server."""

    def __init__(self, load: LoadPoint, traffic: Traffic, warmup: int) -> None:
        self._requests = traffic.requests(warmup)
        self._due: Iterator[float] = traffic.due(load)
        self._until = math.inf if load.seconds is None else load.seconds
        self.over = False
        self.due = 0.0
        self._advance()

    def pop(self) -> Timed:
        """The request that is due."""
        request = next(self._requests)
        request.arrived = self.due
        self._advance()
        return request

    def ended(self, now: float) -> None:
        """Nothing follows from it."""

    def _advance(self) -> None:
        self.due = next(self._due, math.inf)
        if self.due >= self._until:
            self.due = math.inf
        self.over = self.due == math.inf


class Closed:
    """Streams that send their next request when the last one has ended; all begin at once."""

    def __init__(self, load: LoadPoint, traffic: Traffic, warmup: int, think: float) -> None:
        self._requests = traffic.requests(warmup)
        self._load = load
        self._think = think
        self._ready: deque[float] = deque([0.0] * int(load.level))
        self._warmup = warmup
        self._sent = 0
        self._began = math.inf
        self.over = False
        self.due = 0.0

    def pop(self) -> Timed:
        """The request that is due."""
        request = next(self._requests)
        request.arrived = self._ready.popleft()
        if self._sent == self._warmup:
            self._began = request.arrived
        self._sent += 1
        self._advance()
        return request

    def ended(self, now: float) -> None:
        """Its stream is ready for the next."""
        self._ready.append(now + self._think)
        self._advance()

    def _advance(self) -> None:
        load = self._load
        self.due = self._ready[0] if self._ready else math.inf
        spent = load.requests is not None and self._sent >= load.requests + self._warmup
        late = load.seconds is not None and self.due != math.inf and self.due - self._began >= load.seconds
        if self.over or spent or late:
            self.over, self.due = True, math.inf
