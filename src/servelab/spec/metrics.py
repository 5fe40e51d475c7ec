"""The names of everything that is measured, with units and which way is better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Direction = Literal["minimize", "maximize"]

STATISTICS = ("mean", "p50", "p90", "p95", "p99", "max")


@dataclass(frozen=True)
class MetricInfo:
    """What a metric's name stands for."""

    name: str
    title: str
    unit: str
    direction: Direction


_LATENCIES = {
    "ttft": "time to first token",
    "itl": "inter-token latency, chunks spread over their tokens",
    "chunk_interval": "time between chunks, whatever their tokens",
    "tpot": "time per output token",
    "e2e": "end-to-end latency",
    "ttft_sent": "time to first token from the actual send",
    "e2e_sent": "end-to-end latency from the actual send",
    "schedule_delay": "delay between intended and actual send",
}

_SCALARS = {
    info.name: info
    for info in (
        MetricInfo("output_throughput", "output tokens per second", "tok/s", "maximize"),
        MetricInfo("total_throughput", "prompt and output tokens per second", "tok/s", "maximize"),
        MetricInfo("request_throughput", "requests per second", "req/s", "maximize"),
        MetricInfo("goodput", "requests per second that met the SLO", "req/s", "maximize"),
        MetricInfo("goodput_ratio", "share of requests that met the SLO", "", "maximize"),
        MetricInfo("goodput_ratio_ttft", "share of requests that met the SLO's TTFT", "", "maximize"),
        MetricInfo("goodput_ratio_tpot", "share of requests that met the SLO's TPOT", "", "maximize"),
        MetricInfo("goodput_ratio_e2e", "share of requests that met the SLO's E2E latency", "", "maximize"),
        MetricInfo(
            "output_throughput_per_accelerator", "output tokens per second and accelerator", "tok/s", "maximize"
        ),
        MetricInfo("error_rate", "share of failed requests", "", "minimize"),
        MetricInfo("saturation", "highest load level that met the SLO, as far as a search found", "", "maximize"),
        MetricInfo("slo_score", "score with a penalty for each missed SLO", "", "minimize"),
        MetricInfo("concurrency", "requests in flight, achieved on average", "", "maximize"),
    )
}

_LATENCY_NAME = re.compile(rf"({'|'.join(_LATENCIES)})_({'|'.join(STATISTICS)})")


def metric_names() -> tuple[str, ...]:
    """Every metric name, latencies (seconds) first."""
    return tuple(f"{base}_{statistic}" for base in _LATENCIES for statistic in STATISTICS) + tuple(_SCALARS)


def metric(name: str) -> MetricInfo:
    """Describe the metric called ``name``.

    Raises:
        ValueError: there is no such metric.
    """
    if name in _SCALARS:
        return _SCALARS[name]
    parts = _LATENCY_NAME.fullmatch(name)
    if parts is None:
        nearest = get_close_matches(name, metric_names(), n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(metric_names())}"
        raise ValueError(f"unknown metric {name!r}; {hint}")
    return MetricInfo(name, f"{_LATENCIES[parts[1]]}, {parts[2]}", "s", "minimize")


def format_metric(name: str, value: float | None) -> str:
    """Write a value for people: latencies in milliseconds, ratios in percent."""
    if value is None:
        return "-"
    info = metric(name)
    if info.unit == "s":
        ms = value * 1000
        return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"
    if info.name == "error_rate" or info.name.startswith("goodput_ratio"):
        return f"{value * 100:.1f} %"
    return f"{value:,.4g} {info.unit}".rstrip() if abs(value) < 10_000 else f"{value:,.0f} {info.unit}".rstrip()
