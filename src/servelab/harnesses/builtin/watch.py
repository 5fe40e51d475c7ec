"""Beside the load: how late the client itself is, and what the server says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from statistics import fmean
from time import perf_counter, process_time
from urllib.parse import urlsplit

from servelab.harnesses.builtin.distribution import Distribution
from servelab.harnesses.builtin.http import Client

LAG_EVERY = 0.02  # seconds between looks at the client's own lateness
SCRAPE_EVERY = 1.0  # seconds between looks at the server's metrics
SCRAPE_TIMEOUT = 5.0  # seconds


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
    what it grew by.
    """

    def __init__(self, url: str, metrics: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._client = Client(f"{parts.scheme}://{parts.netloc}", {})
        self._path = parts.path
        self._metrics = metrics
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
        if exchange.error is None and exchange.status == HTTPStatus.OK:
            found = parse_metrics(exchange.body.decode("utf-8", errors="replace"))
            for name, theirs in self._metrics.items():
                if theirs in found:
                    self._seen[name].append(found[theirs])

    def summary(self) -> dict[str, float]:
        """Our name -> mean of a gauge, or growth of a counter; only what the server has."""
        return {
            name: values[-1] - values[0] if self._metrics[name].endswith("_total") else fmean(values[1:] or values)
            for name, values in self._seen.items()
            if values
        }


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus text -> name -> value, summed over labels."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name, _, rest = line.partition("{") if "{" in line else line.partition(" ")
        value = rest.rpartition("}")[2].split() if "{" in line else rest.split()
        try:
            found[name.strip()] = found.get(name.strip(), 0.0) + float(value[0])
        except (ValueError, IndexError):
            continue
    return found
