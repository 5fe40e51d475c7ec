"""genai-bench results: the file of a run, and the summaries that the inference autotuner makes of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from servelab.harnesses.external.measured import Measured
from servelab.spec.workload import LoadPoint

_LATENCIES = {"ttft": "ttft", "tpot": "tpot", "e2e_latency": "e2e"}
_STATISTICS = ("mean", "p50", "p90", "p95", "p99", "max")
_RATES = {
    "requests_per_second": "request_throughput",
    "mean_output_throughput_tokens_per_s": "output_throughput",
    "mean_total_tokens_throughput_tokens_per_s": "total_throughput",
}


def read_all(data: Any) -> list[Measured]:
    """Every run in JSON data of genai-bench, or of the autotuner that drives it; none if it is something else.

    Raises:
        ValueError, LookupError: it is damaged.
    """
    # The file of a run says so when it was asked for milliseconds.
    scale = 1e-3 if isinstance(data, Mapping) and data.get("_time_unit") == "ms" else 1.0
    return [_measured(raw, scale) for raw in _runs(data)]


def _runs(data: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(data, Mapping):
        return
    if isinstance(data.get("aggregated_metrics"), Mapping):
        yield data["aggregated_metrics"]
    for experiment in data.get("all_results") or ():
        yield from (experiment.get("metrics") or {}).get("raw_results") or ()


def _measured(raw: Mapping[str, Any], scale: float) -> Measured:
    stats = raw["stats"]
    metrics = {
        f"{ours}_{statistic}": float(stats[theirs][statistic]) * scale
        for theirs, ours in _LATENCIES.items()
        for statistic in _STATISTICS
        if (stats.get(theirs) or {}).get(statistic) is not None
    }
    metrics |= {ours: float(raw[theirs]) for theirs, ours in _RATES.items() if raw.get(theirs) is not None}
    metrics["error_rate"] = float(raw["error_rate"])
    count = int(raw["num_requests"])
    return Measured(
        harness="genai-bench",
        load=LoadPoint(kind="concurrency", level=float(raw["num_concurrency"]), requests=count or None),
        metrics=metrics,
        count=count,
        duration=float(raw["run_duration"]),
        errors={f"http {code}": int(number) for code, number in (raw.get("error_codes_frequency") or {}).items()},
    )
