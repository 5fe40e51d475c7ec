"""Beside the load: how late the client itself is, and what the server says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from statistics import fmean
from time import perf_counter, process_time
from urllib.parse import urlsplit

from servelab.harnesses.builtin.http import Client
from servelab.spec.distribution import Distribution

LAG_EVERY = 0.02  # seconds between looks at the client's own lateness
SCRAPE_EVERY = 1.0  # seconds between looks at the server's metrics
SCRAPE_TIMEOUT = 5.0  # seconds
SHARES = ("kv_cache_usage", "prefix_cache_hit_rate")
"""Ours that are shares: of several replicas behind one endpoint the mean is told, and of all else the sum."""


class LagWatch:
    """Measures the event loop's lateness, the client's CPU share, and the requests in flight over time.

    ``in_flight`` says how many requests are; None while nothing counts yet.
    """

    def __init__(self, in_flight: Callable[[], int | None]) -> None:
        self.lags = Distribution()
        self._in_flight = in_flight
        self._flights = self._looks = 0
        self._cpu = process_time()
        self._wall = perf_counter()

    @property
    def cpu(self) -> float:
        """Share of one core that this process used since the watch began."""
        return (process_time() - self._cpu) / max(1e-9, perf_counter() - self._wall)

    async def watch(self) -> None:
        """Look, until cancelled."""
        while True:
            due = perf_counter() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self.lags.append(max(0.0, perf_counter() - due))
            flying = self._in_flight()
            if flying is not None:
                self._flights += flying
                self._looks += 1

    @property
    def concurrency(self) -> float | None:
        """Requests in flight on average while requests counted; None if nothing was seen of it."""
        return self._flights / self._looks if self._looks else None


class ServerWatch:
    """Reads a server's Prometheus metrics in step with the measurement.

    ``metrics`` maps our names to the server's. A gauge is averaged over the looks; a counter (``_total``) is
    what it grew by. Each look while requests count is a line of ``timeline``, beside what the client knows of that
    moment: ``moment`` says how many seconds requests have counted, and how many are in flight; None before.
    """

    def __init__(
        self, url: str, metrics: Mapping[str, str], timeline: Path, moment: Callable[[], tuple[float, int] | None]
    ) -> None:
        parts = urlsplit(url)
        self._client = Client(f"{parts.scheme}://{parts.netloc}", {})
        self._path = parts.path
        self._metrics = metrics
        self._lines = lines_of(metrics.values())
        self._timeline = timeline
        self._moment = moment
        self._seen: dict[str, list[float]] = {name: [] for name in metrics}

    def begin(self) -> None:
        """From now on looks count; the last one before stays, as what counters grow from."""
        for name, values in self._seen.items():
            self._seen[name] = values[-1:]

    async def watch(self) -> None:
        """Look at once, and then until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(SCRAPE_EVERY)
        finally:
            self._client.close()

    async def look(self) -> None:
        """Read the metrics once; a server that does not answer is passed over."""
        exchange = await self._client.get(self._path, SCRAPE_TIMEOUT)
        if exchange.error is not None or exchange.status != HTTPStatus.OK:
            return
        theirs = parse_metrics(exchange.body, self._lines)
        found = {
            name: (fmean if name in SHARES else sum)(theirs[their])
            for name, their in self._metrics.items()
            if their in theirs
        }
        for name, value in found.items():
            self._seen[name].append(value)
        moment = self._moment()
        if moment is not None and found:
            at, in_flight = moment
            with self._timeline.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"at": round(at, 3), "in_flight": in_flight, **found}) + "\n")

    def summary(self) -> dict[str, float]:
        """Our name -> mean of a gauge, or growth of a counter; only what the server has."""
        return {
            name: values[-1] - values[0] if self._metrics[name].endswith("_total") else fmean(values[1:] or values)
            for name, values in self._seen.items()
            if values
        }


def lines_of(names: Iterable[str]) -> re.Pattern[bytes]:
    """Finds the lines of these metrics among the thousands that a server may have, in a tenth of reading them all."""
    wanted = b"|".join(re.escape(name.encode()) for name in names)
    return re.compile(rb"^(%b)(?:\{.*\})?[ \t]+(\S+)" % wanted, re.MULTILINE)


def parse_metrics(text: bytes, lines: re.Pattern[bytes]) -> dict[str, list[float]]:
    """Prometheus text -> name -> values, one for each set of labels, of the metrics that ``lines`` finds."""
    found: dict[str, list[float]] = {}
    for line in lines.finditer(text):
        with contextlib.suppress(ValueError):
            value = float(line[2])
            if math.isfinite(value):  # NaN is what a rate of nothing is
                found.setdefault(line[1].decode(), []).append(value)
    return found
