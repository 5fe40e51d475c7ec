"""Loads on which the simulator is held against the simulated engine over HTTP."""

from __future__ import annotations

from benchmarks.predict.agreement import Case
from servelab.spec.workload import LoadPoint, Workload


def _workload(prompt: int, output: int, **rest: object) -> Workload:
    lengths = {"prompt": {"mean": prompt, "stdev": prompt / 4}, "output": {"mean": output, "stdev": output / 4}}
    return Workload.model_validate({**lengths, **rest})


CASES = (
    Case(
        "16 streams",
        _workload(256, 64),
        LoadPoint(kind="concurrency", level=16, requests=240, warmup=16),
        scale=4,
    ),
    Case(
        "Poisson at half of the greatest rate",
        _workload(512, 96),
        LoadPoint(kind="poisson", level=3.5, requests=200),
        scale=4,
    ),
    Case(
        "a queue: at most 8 at once",
        _workload(256, 64),
        LoadPoint(kind="poisson", level=3.6, requests=200),
        ("--max-num-seqs", "8"),
        scale=4,
    ),
    Case(
        "a full cache, with preemptions",
        _workload(300, 150),
        LoadPoint(kind="concurrency", level=24, requests=120, warmup=24),
        ("--max-model-len", "-1", "--gpu-memory-utilization", "0.78"),
        profile="l4-llama-3.1-8b",
        scale=0.5,
    ),
    Case(
        "a shared prefix of 1,024 tokens",
        _workload(64, 64, prefix={"tokens": 1024, "groups": 4}),
        LoadPoint(kind="poisson", level=3.5, requests=200),
        scale=4,
    ),
)
