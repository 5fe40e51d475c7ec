"""A study with many made-up trials, of the size that real ones have."""

from __future__ import annotations

import random
from collections.abc import Mapping

from servelab.spec.deployment import Failure
from servelab.spec.load import LoadPoint
from servelab.spec.metrics import STATISTICS
from servelab.spec.report import ClientHealth, Provenance, Report
from servelab.spec.trial import Measurement, Timings, Trial
from servelab.store.store import Store

STUDY = """
name: many
model: {id: meta-llama/Llama-3.1-8B-Instruct}
engine: {name: simulated, profile: h100-llama-3.1-8b}
workload: {prompt: 256, output: 32}
load: {concurrency: 32, requests: 128}
space:
  parameters:
    max_num_seqs: {low: 4, high: 1024, log: true}
    max_num_batched_tokens: {low: 512, high: 32768, log: true}
    gpu_memory_utilization: {low: 0.5, high: 0.98}
    enable_prefix_caching: [true, false]
    block_size: [8, 16, 32]
objectives: [maximize output_throughput]
constraints: [ttft_p95 <= 300ms]
budget: {trials: 20000, screening: 0}
"""
LATENCIES = ("ttft", "itl", "chunk_interval", "tpot", "e2e")
WORKER = "filler"
FAILURE = Failure(
    kind="out_of_memory",
    stage="ready",
    message="the engine ran out of memory while it reserved the KV cache",
    remedy="Lower gpu_memory_utilization or max_model_len.",
)


def fill(store: Store, study: str, trials: int) -> None:
    """Put finished trials into the store, as the loop would."""
    store.add_trials(study, [_trial(number) for number in range(trials)])
    for number in range(trials):
        assert store.claim(study, WORKER) is not None
        finish(store, study, number)


def add_running(store: Store, study: str) -> int:
    """Add one more trial and claim it; returns its number."""
    store.add_trials(study, [_trial(1)])
    claimed = store.claim(study, WORKER)
    assert claimed is not None
    return claimed.number


def finish(store: Store, study: str, number: int) -> None:
    """Measure a claimed trial, as it were, and end it; one of ten fails."""
    if number % 10 == 9:
        timings = Timings(total=1.0)
        store.finish_trial(study, number, WORKER, state="failed", timings=timings, outcome={}, failure=FAILURE)
        return
    report = _report()
    store.add_measurement(study, number, WORKER, Measurement(phase="full", point=0, repeat=0, report=report))
    outcome = {name: report.metrics[name] for name in ("output_throughput", "ttft_p95")}
    store.finish_trial(
        study,
        number,
        WORKER,
        state="complete",
        timings=Timings(suggest=0.1, ready=30.0, measure=20.0, stop=1.0, total=51.1),
        outcome=outcome,
        value=outcome["output_throughput"],
        feasible=outcome["ttft_p95"] <= 0.3,
        command=("python", "-m", "engine", "--max-num-seqs", "256", "--max-num-batched-tokens", "8192"),
    )


def _trial(number: int) -> Trial:
    if number == 0:
        return Trial(number=0, parameters={}, kind="baseline")
    return Trial(
        number=number,
        parameters={
            "max_num_seqs": round(4 * 256 ** random.random()),
            "max_num_batched_tokens": round(512 * 64 ** random.random()),
            "gpu_memory_utilization": round(random.uniform(0.5, 0.98), 6),
            "enable_prefix_caching": random.random() < 0.5,
            "block_size": random.choice((8, 16, 32)),
        },
    )


def _report() -> Report:
    speed = random.lognormvariate(0.0, 0.3)
    metrics = {f"{name}_{s}": 0.2 / speed * random.uniform(0.5, 2.0) for name in LATENCIES for s in STATISTICS}
    metrics |= {f"{name}_{s}": 1e-5 for name in ("ttft_sent", "e2e_sent", "schedule_delay") for s in STATISTICS}
    metrics |= {"output_throughput": 5000 * speed, "request_throughput": 40 * speed, "concurrency": 31.5}
    return Report(
        load=LoadPoint(kind="concurrency", level=32, requests=128),
        metrics=metrics,
        requests=128,
        duration=20.0,
        quantiles={name: _quantiles(speed) for name in LATENCIES},
        intervals={
            name: (0.9 * value, 1.1 * value) for name, value in metrics.items() if name.endswith(("p50", "p95"))
        },
        server={"running": 30.0, "waiting": 1.0, "kv_cache_usage": 0.4},
        client=ClientHealth(verdict="ok", cpu=0.3, loop_lag_p99=0.001),
        provenance=_provenance(),
        standard=_standard(metrics),
    )


def _quantiles(speed: float) -> tuple[float, ...]:
    return tuple(sorted(random.expovariate(5 * speed) for _ in range(101)))


def _provenance() -> Provenance:
    return Provenance(
        servelab="0",
        harness="builtin",
        harness_version="0",
        engine="simulated",
        simulated=True,
        model="meta-llama/Llama-3.1-8B-Instruct",
        seed=1,
        started_at="2026-01-01T00:00:00+00:00",
        machine={"processor": "made up", "cores": 2},
    )


def _standard(metrics: Mapping[str, float]) -> dict[str, object]:
    """As large as a Benchmark Report v0.2."""
    return {"version": "0.2", "results": {f"metric_{n}": {"units": "s", "mean": v} for n, v in metrics.items()}}
