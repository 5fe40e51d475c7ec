"""Loads on which the simulator is held against the simulated engine over HTTP."""

from __future__ import annotations

from benchmarks.predict.agreement import Case
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

SLOWER = 16
"""So many times slower than the machine that is played: a delay of this machine of 10 ms is then nothing."""


def _workload(prompt: int, output: int, **rest: object) -> Workload:
    lengths = {"prompt": {"mean": prompt, "stdev": prompt / 4}, "output": {"mean": output, "stdev": output / 4}}
    return Workload.model_validate({**lengths, **rest})


CASES = (
    Case(
        "16 streams",
        _workload(256, 64),
        LoadPoint(kind="concurrency", level=16, requests=80, warmup=16),
        scale=SLOWER,
    ),
    Case(
        "Poisson at half of the greatest rate",
        _workload(512, 96),
        LoadPoint(kind="poisson", level=14 / SLOWER, requests=80),
        scale=SLOWER,
    ),
    Case(
        "a queue: at most 8 at once",
        _workload(256, 64),
        LoadPoint(kind="poisson", level=14.4 / SLOWER, requests=80),
        ("--max-num-seqs", "8"),
        scale=SLOWER,
    ),
    Case(
        "a full cache, with preemptions",
        _workload(300, 120),
        LoadPoint(kind="concurrency", level=24, requests=72, warmup=24),
        ("--max-model-len", "-1", "--gpu-memory-utilization", "0.78"),
        profile="l4-llama-3.1-8b",
        scale=2.0,
    ),
    Case(
        "a shared prefix of 1,024 tokens",
        _workload(64, 64, prefix={"tokens": 1024, "groups": 4}),
        LoadPoint(kind="poisson", level=14 / SLOWER, requests=80),
        scale=SLOWER,
    ),
)
