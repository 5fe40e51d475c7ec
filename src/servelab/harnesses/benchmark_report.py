"""The same measurement as an llm-d Benchmark Report v0.2, validated by the package that defines it."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from llmd_benchmark_report.schema_v0_2 import BenchmarkReportV02

from servelab.spec.load import LoadPoint
from servelab.spec.report import Report
from servelab.spec.workload import Tokens, Workload

_LATENCIES = {
    "ttft": ("time_to_first_token", "s"),
    "tpot": ("time_per_output_token", "s/token"),
    "itl": ("inter_token_latency", "s/token"),
    "e2e": ("request_latency", "s"),
}
_RATES = {
    "output_throughput": ("output_token_rate", "tokens/s"),
    "total_throughput": ("total_token_rate", "tokens/s"),
    "request_throughput": ("request_rate", "queries/s"),
}
_PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)


def benchmark_report(report: Report, workload: Workload | None) -> dict[str, Any]:
    """The report in llm-d's schema, as JSON data; ``workload`` where it is known.

    What that schema has no field for (the client's health, goodput, quantiles of fewer requests than they need)
    stands under ``results.observability.servelab``.
    """
    found = {
        "run": _run(report),
        "scenario": {"stack": [stack(report)], "load": _load(report, workload)},
        "results": {
            "request_performance": {
                "aggregate": {
                    "requests": {"total": report.requests, "failures": sum(report.errors.values())},
                    "latency": {
                        theirs: _statistics(report, ours, unit)
                        for ours, (theirs, unit) in _LATENCIES.items()
                        if f"{ours}_mean" in report.metrics
                    },
                    "throughput": {
                        theirs: {"units": unit, "mean": report.metrics[ours]}
                        for ours, (theirs, unit) in _RATES.items()
                        if ours in report.metrics
                    },
                }
            },
            "observability": {"servelab": _extras(report)},
        },
    }
    return validated(found)


def validated(found: dict[str, Any]) -> dict[str, Any]:
    """The report as the schema writes it.

    Raises:
        ValueError: it does not conform.
    """
    data: dict[str, Any] = BenchmarkReportV02.model_validate(found).model_dump(mode="json", exclude_none=True)
    return data


def _run(report: Report) -> dict[str, Any]:
    start = datetime.fromisoformat(report.provenance.started_at)
    return {
        "uid": uuid.uuid4().hex,
        "time": {
            "start": start,
            "end": start + timedelta(seconds=report.duration),
            "duration": f"PT{report.duration:.6f}S",
        },
        "description": "simulated: no engine was measured" if report.provenance.simulated else None,
    }


def stack(report: Report) -> dict[str, Any]:
    """The engine that was measured, as a component of ``scenario.stack``."""
    made = report.provenance
    return {
        "metadata": {"label": made.engine, "cfg_id": _digest([made.engine, made.parameters])},
        "standardized": {
            "kind": "generic",
            "tool": made.engine,
            "tool_version": made.engine_version or "unknown",
            "model": made.model,
            "simulated": made.simulated,
        },
        "native": {"args": made.parameters},
    }


def _load(report: Report, workload: Workload | None) -> dict[str, Any]:
    made, load = report.provenance, report.load
    recorded = bool(workload and (workload.trace or workload.dataset))
    standardized: dict[str, Any] = {
        "tool": f"servelab-{made.harness}" if made.harness == "builtin" else made.harness,
        "tool_version": made.harness_version,
        "source": "unknown" if workload is None else "sampled" if recorded else "random",
        **_level(load),
    }
    if workload is None:
        standardized["input_seq_len"] = {"distribution": "other", "value": _mean_prompt(report)}
    else:
        standardized["input_seq_len"] = _lengths(workload.prompt, recorded)
        standardized["output_seq_len"] = _lengths(workload.output, recorded)
    if workload and workload.prefix and workload.prefix.tokens:
        standardized["prefix"] = {
            "prefix_len": {"distribution": "fixed", "value": workload.prefix.tokens},
            "num_groups": workload.prefix.groups,
            "num_users_per_group": 1,
            "num_prefixes": 1,
        }
    config = {"workload": workload.model_dump() if workload else None, "load": load.model_dump()}
    return {
        "metadata": {"cfg_id": _digest(config)},
        "standardized": standardized,
        "native": {
            "args": {"seed": made.seed},
            "config": config,
        },
    }


def _mean_prompt(report: Report) -> float:
    """Tokens of a prompt on average, out of what was measured."""
    rates = [report.metrics.get(f"{name}_throughput", 0.0) for name in ("total", "output", "request")]
    return (rates[0] - rates[1]) / rates[2] if rates[2] else 0.0


def _level(load: LoadPoint) -> dict[str, float]:
    if load.kind == "replay":
        return {}
    if not load.open_loop:
        return {"concurrency": int(load.level)}
    return {"rate_qps": load.level}


def _lengths(tokens: Tokens, recorded: bool) -> dict[str, Any]:
    kinds = {"normal": "gaussian" if tokens.stdev else "fixed", "lognormal": "other"}
    return {
        "distribution": "other" if recorded else kinds.get(tokens.distribution, tokens.distribution),
        "value": tokens.mean,
        "std_dev": tokens.stdev,
        "min": tokens.min,
        "max": tokens.upper,
    }


def _statistics(report: Report, name: str, unit: str) -> dict[str, Any]:
    found: dict[str, Any] = {"units": unit, "mean": report.metrics[f"{name}_mean"]}
    quantiles = report.quantiles.get(name)
    if quantiles is not None:
        found |= {f"p{percent}": quantiles[percent] for percent in _PERCENTS}
        return {**found, "min": quantiles[0], "max": quantiles[100]}
    known = {label: report.metrics.get(f"{name}_{label}") for label in ("p50", "p90", "p95", "p99", "max")}
    return {**found, **{label: value for label, value in known.items() if value is not None}}


def _extras(report: Report) -> dict[str, Any]:
    return {
        "goodput_requests_per_second": report.metrics.get("goodput"),
        "achieved_concurrency": report.metrics.get("concurrency"),
        "tokens_spread_over_chunks": report.server.get("tokens_per_chunk", 1.0) > 1,
        "chunk_interval_seconds": {
            name.removeprefix("chunk_interval_"): value
            for name, value in report.metrics.items()
            if name.startswith("chunk_interval_")
        },
        "client_health": report.client.model_dump(),
        "warnings": list(report.warnings),
        "errors": report.errors,
        "server": report.server,
    }


def _digest(data: Any) -> str:
    return hashlib.md5(json.dumps(data, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
