"""The simulated engine's metrics, with vLLM's names and buckets (vllm/v1/metrics)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from servelab.batching.scheduler import Scheduler

SHORT = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
BETWEEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
LONG = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0)


class Histogram:
    """Counts seconds in buckets; a bucket holds what is at most its bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, label: str) -> Iterator[str]:
        """Prometheus text."""
        yield f"# TYPE {name} histogram"
        for bound, count in zip((*map(str, self.bounds), "+Inf"), accumulate(self.counts), strict=True):
            yield f'{name}_bucket{{le="{bound}",model_name="{label}"}} {count}'
        yield f'{name}_sum{{model_name="{label}"}} {self.total}'
        yield f'{name}_count{{model_name="{label}"}} {sum(self.counts)}'


@dataclass
class Latencies:
    """How long requests and tokens took, as the server sees it."""

    ttft: Histogram = field(default_factory=lambda: Histogram(SHORT))
    itl: Histogram = field(default_factory=lambda: Histogram(BETWEEN))
    e2e: Histogram = field(default_factory=lambda: Histogram(LONG))


def metrics_text(scheduler: Scheduler, latencies: Latencies, model: str) -> str:
    """Prometheus text."""
    counters = scheduler.counters
    found = {
        "vllm:num_requests_running": ("gauge", len(scheduler.running)),
        "vllm:num_requests_waiting": ("gauge", len(scheduler.waiting)),
        "vllm:kv_cache_usage_perc": ("gauge", scheduler.usage),
        "vllm:num_preemptions_total": ("counter", counters.preemptions),
        "vllm:prefix_cache_queries_total": ("counter", counters.prefix_queries),
        "vllm:prefix_cache_hits_total": ("counter", counters.prefix_hits),
        "vllm:prompt_tokens_total": ("counter", counters.prompts),
        "vllm:generation_tokens_total": ("counter", counters.generated),
    }
    label = model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    lines = ["# simulated: no engine was measured"]
    for name, (kind, value) in found.items():
        lines += [f"# TYPE {name} {kind}", f'{name}{{model_name="{label}"}} {value}']
    lines += latencies.ttft.lines("vllm:time_to_first_token_seconds", label)
    lines += latencies.itl.lines("vllm:inter_token_latency_seconds", label)
    lines += latencies.e2e.lines("vllm:e2e_request_latency_seconds", label)
    return "\n".join(lines) + "\n"
