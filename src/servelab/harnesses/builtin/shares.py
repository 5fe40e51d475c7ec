"""How several processes share one load: streams and requests are split, arrivals are dealt out in turn."""

from __future__ import annotations

from dataclasses import dataclass

from servelab.spec.load import LoadPoint


@dataclass(frozen=True)
class Share:
    """One process's part of a load: it is number ``worker`` (from 0) of ``workers``."""

    load: LoadPoint
    """Closed loop: its own streams and requests. Open loop: the whole, of which it sends each ``workers``-th."""
    max_concurrency: int
    worker: int = 0
    workers: int = 1

    def number(self, index: int) -> int:
        """The number over all processes of its request ``index``; warm-up counts from -1 downwards in both."""
        if index < 0:
            return -1 - self.worker + self.workers * (index + 1)
        return self.worker + self.workers * index

    def has(self, number: int) -> bool:
        """Whether request ``number`` of all is its own."""
        return number % self.workers == self.worker

    @property
    def requests(self) -> int | None:
        """How many requests it sends; None where only time ends the load."""
        if self.load.requests is None or not self.load.open_loop:
            return self.load.requests
        return _part(self.load.requests, self.worker, self.workers)


def shares(load: LoadPoint, max_concurrency: int, processes: int) -> list[Share]:
    """The parts of ``processes`` processes, or of fewer, where there is less than a stream or a request for each."""
    most = max_concurrency if load.open_loop else int(load.level)
    workers = max(1, min(processes, most, load.requests or most))
    return [
        Share(_load(load, worker, workers), _part(max_concurrency, worker, workers), worker, workers)
        for worker in range(workers)
    ]


def _load(load: LoadPoint, worker: int, workers: int) -> LoadPoint:
    warmup = -(-load.warmup // workers)
    if load.open_loop:
        return load.model_copy(update={"warmup": warmup})
    requests = None if load.requests is None else _part(load.requests, worker, workers)
    level = load.level if workers == 1 else float(_part(int(load.level), worker, workers))
    return load.model_copy(update={"warmup": warmup, "requests": requests, "level": level})


def _part(total: int, worker: int, workers: int) -> int:
    return total // workers + (worker < total % workers)
