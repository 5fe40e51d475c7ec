"""The two-point formula, and what it reads of guidellm's reports; plain Python, since it also runs in a Tekton step.

With ITL = alpha + beta * batch size: ITL_synchronous = alpha + beta, ITL_throughput = alpha + beta * batch size.
"""

from __future__ import annotations

import math
from typing import Any


class ReportError(ValueError):
    """A report or a value that no latency model can come from."""


def two_points(synchronous: float, throughput: float, batch_size: float) -> tuple[float, float]:
    """``(alpha, beta)`` in ms, from the inter-token latencies of one request and of ``batch_size`` at a time.

    Raises:
        ReportError: the two points define no line that a server can have.
    """
    for name, value in (("synchronous", synchronous), ("throughput", throughput)):
        if not math.isfinite(value) or value <= 0:
            raise ReportError(f"the {name} inter-token latency is {value:g} ms; it has to be above 0")
    if not math.isfinite(batch_size) or batch_size <= 1:
        raise ReportError(f"the batch size is {batch_size:g}; it has to be above 1, as the throughput benchmark's was")
    beta = (throughput - synchronous) / (batch_size - 1)
    alpha = synchronous - beta
    if beta < 0 or alpha < 0:
        raise ReportError(
            f"alpha = {alpha:.4f} ms and beta = {beta:.4f} ms may not be negative: the latency of {batch_size:g} "
            f"requests at a time ({throughput:.4f} ms) does not fit that of one ({synchronous:.4f} ms)"
        )
    return alpha, beta


def doubts(report: Any, name: str) -> list[str]:
    """Why a guidellm report's latency may mislead: failed requests, few requests."""
    try:
        benchmark = report["benchmarks"][0]
        totals = benchmark.get("request_totals") or benchmark["metrics"]["request_totals"]  # it moved after 0.3
        done, failed = int(totals["successful"]), int(totals["errored"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return []
    found = []
    if failed:
        found.append(f"{failed} of {failed + done} requests failed in {name}: its latency is that of the others")
    if 0 < done < 10:
        found.append(f"only {done} requests succeeded in {name}: its latency is uncertain")
    return found


def latency(report: Any, name: str, metric: str = "inter_token_latency_ms") -> float:
    """The mean of a latency in ms of the first benchmark of a guidellm report, of requests that succeeded.

    Raises:
        ReportError: there is none.
    """
    words = "inter-token latency" if metric == "inter_token_latency_ms" else "time to first token"
    try:
        groups = report["benchmarks"][0]["metrics"][metric]
        group = groups.get("successful") or groups["total"]
        mean = float(group["mean"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise ReportError(f"{name} is not a report of guidellm with its {words}") from None
    if group.get("count") == 0 or not math.isfinite(mean) or mean <= 0:
        raise ReportError(f"{name} has no {words}: no request succeeded, or each made a single token")
    return mean


def concurrency(report: Any) -> float | None:
    """How many requests were in flight on average, where the report says so."""
    try:
        return float(report["benchmarks"][0]["metrics"]["request_concurrency"]["successful"]["mean"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def flat(beta: float) -> list[str]:
    """A warning where both latencies are the same."""
    return [] if beta else ["both inter-token latencies are the same: beta is 0, as if the batch size did not matter"]


def crowd(report: Any, name: str, batch_size: float) -> list[str]:
    """A warning where fewer requests were in flight than the formula takes for granted."""
    in_flight = concurrency(report)
    if in_flight is None or in_flight >= 0.9 * batch_size:
        return []
    return [f"{in_flight:.1f} requests were in flight on average in {name}, not {batch_size:g}: beta is too small"]
