"""What the Job of a BenchmarkJob runs in tests: servelab's own load generator, its numbers as genai-bench writes them.

The measurement is real, from a pod beside the engine's; only the file is another program's.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from servelab.harnesses.base import Job, harness
from servelab.spec.deployment import Deployment
from servelab.spec.load import LoadPoint
from servelab.spec.report import Report
from servelab.spec.workload import Workload

STATISTICS = ("mean", "p50", "p90", "p95", "p99", "max")


def main(url: str, model: str, streams: str, requests: str, lengths: str, directory: str) -> None:
    """Measure, and write the file of one run."""
    target = Path(directory)
    target.mkdir(parents=True)
    prompt, output = (int(part) for part in lengths.removeprefix("D(").removesuffix(")").split(","))
    workload = Workload.model_validate({"prompt": prompt, "output": output, "api": "chat"})
    load = LoadPoint(kind="concurrency", level=float(streams), requests=int(requests))
    scratch = target / "scratch"
    scratch.mkdir()
    job = Job(Deployment(url=url, model=model, engine="simulated"), workload, load, 0, scratch)
    report = asyncio.run(harness("builtin", {}).measure(job, lambda _: None))
    name = f"D_text-to-text_num_concurrency_{streams}_time_10s.json"
    (target / name).write_text(json.dumps({"aggregated_metrics": aggregated(report, streams), "_time_unit": "s"}))
    (target / "experiment_metadata.json").write_text(
        json.dumps({"benchmark_version": "0.0.5", "api_model_name": model})
    )
    print(f"measured {report.requests} requests")


def aggregated(report: Report, streams: str) -> dict[str, object]:
    """The metrics by genai-bench's names."""
    names = {"ttft": "ttft", "tpot": "tpot", "e2e_latency": "e2e"}
    stats = {
        theirs: {one: report.metrics[f"{ours}_{one}"] for one in STATISTICS if f"{ours}_{one}" in report.metrics}
        for theirs, ours in names.items()
    }
    return {
        "num_concurrency": int(streams),
        "num_requests": report.requests,
        "run_duration": report.duration,
        "error_rate": sum(report.errors.values()) / report.requests,
        "requests_per_second": report.metrics["request_throughput"],
        "mean_output_throughput_tokens_per_s": report.metrics["output_throughput"],
        "stats": stats,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
