"""Latency distributions of measurements, as quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from servelab.spec.report import Report

LATENCIES = {
    "ttft": "Time to first token",
    "itl": "Inter-token latency",
    "tpot": "Time per output token",
    "e2e": "End-to-end latency",
}
"""What the quantiles of a report are of, and its title."""


def mean_quantiles(name: str, reports: Sequence[Report]) -> list[float]:
    """The 0, 1, ..., 100 % quantiles in seconds, averaged over reports; empty when there are none."""
    known = [report.quantiles[name] for report in reports if len(report.quantiles.get(name, ())) == 101]
    return [fmean(column) for column in zip(*known, strict=True)] if known else []
