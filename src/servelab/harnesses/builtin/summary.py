"""From the records of a measurement to its metrics. Formulas are in docs/measuring.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from servelab.harnesses.builtin.record import Record
from servelab.harnesses.builtin.window import Window
from servelab.spec.distribution import Distribution, Latencies
from servelab.spec.goal import RequestSLO
from servelab.spec.report import ClientHealth
from servelab.spec.samples import mean_interval, percentile_ranks, share_interval

PERCENTS = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}

MIN_BUSY_SHARE = 0.3  # of a measurement, for the time of whole load to speak for it
MAX_ERROR_RATE = 0.05  # beyond it, the survivors' latencies are no longer the service's
MIN_REQUESTS = 10  # fewer found no percentile
MAX_CPU = 0.9  # share of the client's core
MAX_LAG_SHARE = 0.25  # of the median token interval: beyond it, lateness shows in the latencies
MIN_LAG = 0.01  # seconds; less lateness than this is the operating system's
MAX_DELAY_SHARE = 0.1  # of the median TTFT: requests sent so late are not the load that was asked for


@dataclass
class Tally:
    """Gathers records as they come. Latencies in seconds, in bounded memory."""

    slo: RequestSLO
    ttft: Latencies = field(default_factory=Distribution)
    itl: Latencies = field(default_factory=Distribution)
    chunk_interval: Latencies = field(default_factory=Distribution)
    tpot: Latencies = field(default_factory=Distribution)
    e2e: Latencies = field(default_factory=Distribution)
    ttft_sent: Latencies = field(default_factory=Distribution)
    e2e_sent: Latencies = field(default_factory=Distribution)
    delay: Latencies = field(default_factory=Distribution)
    errors: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    good: int = 0
    """Requests that kept all of ``slo``."""
    kept: dict[str, int] = field(default_factory=dict)
    """Requests that kept each latency of ``slo``, whatever they did with the others."""
    prompt_tokens: int = 0
    output_tokens: int = 0
    chunks: int = 0
    reasoning_tokens: float = 0.0
    """Of the output tokens, those in chunks of reasoning."""
    busy: float = 0.0
    """Request-seconds: the sum of all requests' time in flight."""
    last_end: float = 0.0

    def add(self, one: Record, gaps: Sequence[float], intervals: Sequence[float] | None = None) -> None:
        """Count one request, with its token intervals; and its chunk intervals, where they are not the same."""
        self.requests += 1
        self.busy += one.end - one.sent
        self.last_end = max(self.last_end, one.end)
        self.delay.append(one.delay)
        if one.error is not None or one.ttft is None:
            kind = one.error or "empty"
            self.errors[kind] = self.errors.get(kind, 0) + 1
            return
        self.ttft.append(one.ttft)
        self.e2e.append(one.e2e)
        self.ttft_sent.append(one.ttft - one.delay)
        self.e2e_sent.append(one.e2e - one.delay)
        self.itl.extend(gaps)
        self.chunk_interval.extend(gaps if intervals is None else intervals)
        if one.tpot is not None:
            self.tpot.append(one.tpot)
        self.prompt_tokens += one.prompt_tokens
        self.output_tokens += one.output_tokens
        self.chunks += one.chunks
        self.reasoning_tokens += one.output_tokens * one.reasoning_chunks / max(1, one.chunks)
        kept = self.slo.kept(one.ttft, one.tpot, one.e2e)
        self.good += all(kept.values())
        for name, yes in kept.items():
            self.kept[name] = self.kept.get(name, 0) + yes

    def merge(self, other: Tally) -> None:
        """Count all that another process counted."""
        for name in _DISTRIBUTIONS:
            getattr(self, name).merge(getattr(other, name))
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.errors, other.errors), (self.kept, other.kept)):
            for kind, count in theirs.items():
                mine[kind] = mine.get(kind, 0) + count
        self.last_end = max(self.last_end, other.last_end)

    @property
    def succeeded(self) -> int:
        """Requests that were answered in full."""
        return len(self.ttft)

    def metrics(self, concurrency: float | None = None, windows: Sequence[Window] = ()) -> dict[str, float]:
        """The metrics of spec/metrics.py, as far as anything was measured.

        ``windows`` are what arrived while the load was whole, of each process; where one was too short a part of
        the measurement, all of it has to do. ``concurrency`` is the average number of requests in flight that was
        seen; without it, the requests' time in flight over the duration (Little's law).
        """
        duration = self.last_end
        if not self.requests or duration <= 0:
            return {}
        rates = self._rates(windows)
        found = {
            **rates,
            "error_rate": 1 - self.succeeded / self.requests,
            "goodput": rates["request_throughput"] * self.good / max(1, self.succeeded),
            **{name: count / self.requests for name, count in self._good().items()},
            "concurrency": self.busy / duration if concurrency is None else concurrency,
        }
        for name, values in self._latencies().items():
            if values:
                found[f"{name}_mean"] = values.mean
                quantiles = values.quantiles(list(PERCENTS.values()))
                found |= {f"{name}_{label}": value for label, value in zip(PERCENTS, quantiles, strict=True)}
        return found

    def _rates(self, windows: Sequence[Window]) -> dict[str, float]:
        whole = bool(windows) and all(w.answers and w.seconds > MIN_BUSY_SHARE * self.last_end for w in windows)
        if not whole:
            windows = [Window(self.last_end, self.output_tokens, self.prompt_tokens, self.succeeded)]
        return {
            "request_throughput": sum(w.answers / w.seconds for w in windows),
            "output_throughput": sum(w.output_tokens / w.seconds for w in windows),
            "total_throughput": sum((w.prompt_tokens + w.output_tokens) / w.seconds for w in windows),
        }

    def _good(self) -> dict[str, int]:
        """How many requests kept the SLO, and each latency of it."""
        kept = {f"goodput_ratio_{name}": self.kept.get(name, 0) for name in self.slo.asked}
        return {"goodput_ratio": self.good, **kept}

    def quantiles(self) -> dict[str, tuple[float, ...]]:
        """The 0, 1, ..., 100 % quantiles of each latency, in seconds."""
        names = ("ttft", "itl", "chunk_interval", "tpot", "e2e")
        found = {name: self._latencies()[name] for name in names}
        return {name: tuple(values.quantiles(range(101))) for name, values in found.items() if values}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % confidence intervals of the means, percentiles and shares; see samples.py."""
        found: dict[str, tuple[float, float]] = {}
        for name, values in self._latencies().items():
            # Intervals between a request's tokens are alike: they tell no more than a request does.
            independent = min(len(values), self.succeeded)
            for label, percent in PERCENTS.items():
                ranks = percentile_ranks(independent, percent)
                if ranks is not None:
                    low, high = values.quantiles([100 * (rank - 1) / (independent - 1) for rank in ranks])
                    found[f"{name}_{label}"] = (low, high)
            if independent > 1:
                found[f"{name}_mean"] = mean_interval(values.mean, values.deviation, independent)
        if self.requests:
            found["error_rate"] = share_interval(self.requests - self.succeeded, self.requests)
            found |= {name: share_interval(count, self.requests) for name, count in self._good().items()}
        return found

    def warnings(self) -> tuple[str, ...]:
        """Why the numbers should not be relied on."""
        found = []
        if self.requests and 1 - self.succeeded / self.requests > MAX_ERROR_RATE:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.errors.items()))
            found.append(f"{self.requests - self.succeeded} of {self.requests} requests failed ({kinds})")
        if self.succeeded < MIN_REQUESTS:
            found.append(f"only {self.succeeded} requests succeeded; percentiles need at least {MIN_REQUESTS}")
        return tuple(found)

    def _latencies(self) -> dict[str, Distribution]:
        return {
            "ttft": self.ttft,
            "itl": self.itl,
            "chunk_interval": self.chunk_interval,
            "tpot": self.tpot,
            "e2e": self.e2e,
            "ttft_sent": self.ttft_sent,
            "e2e_sent": self.e2e_sent,
            "schedule_delay": self.delay,
        }


_DISTRIBUTIONS = ("ttft", "itl", "chunk_interval", "tpot", "e2e", "ttft_sent", "e2e_sent", "delay")
_SUMS = ("requests", "good", "prompt_tokens", "output_tokens", "chunks", "reasoning_tokens", "busy")


def client_health(tally: Tally, lags: Distribution, cpu: float, waited: int = 0) -> ClientHealth:
    """Whether the load generator was fit to measure what it measured.

    ``waited``: requests that were due while as many were in flight as may be. Where they are more than the 1 % that
    the lateness is judged without, and the client had time to spare, it is the server that was late.
    """
    lag = lags.quantile(99)
    delay = tally.delay.quantile(99)
    reasons = []
    if cpu > MAX_CPU:
        reasons.append(f"it used {cpu:.0%} of its core")
    if tally.itl:
        allowed = max(MIN_LAG, MAX_LAG_SHARE * tally.itl.quantile(50))
        if lag > allowed:
            reasons.append(f"it was up to {lag * 1000:.0f} ms late (99 %), {allowed * 1000:.0f} ms are tolerable")
    capped = waited > 0.01 * tally.requests and not reasons
    if tally.ttft:
        allowed = max(MIN_LAG, MAX_DELAY_SHARE * tally.ttft.quantile(50))
        if delay > allowed:
            why = ", since max_concurrency were in flight" if capped else ""
            reasons.append(f"it sent requests up to {delay * 1000:.0f} ms late (99 %){why}")
    return ClientHealth(
        verdict="saturated" if reasons else "ok",
        reasons=tuple(reasons),
        capped=capped,
        cpu=cpu,
        loop_lag_p99=lag,
        schedule_delay_p99=delay,
    )
