"""Studies that really ran, small enough for tests: on the simulated engine, at a tenth of its times."""

from __future__ import annotations

import time
from typing import Any

from tests.web.served import Served

ENDED = 600.0  # seconds that a small study may take on a busy machine
FINAL = {"complete", "failed", "cancelled"}

_BASE = """
name: {name}
model: {{id: meta-llama/Llama-3.1-8B-Instruct}}
engine:
  name: simulated
  profile: h100-llama-3.1-8b
  resources: {{accelerators: 1}}
  arguments: {{max_model_len: {length}, time_scale: 0.1, startup_seconds: 0{more}}}
workload:
  prompt: {{mean: 128, stdev: 32, min: 16, max: 256}}
  output: {{mean: 16, stdev: 4, min: 4, max: 32}}
"""
TUNED = (
    _BASE.format(name="tuned", length=1024, more="")
    + """
load: {concurrency: [8, 32], requests: 24, warmup: 2}
space: {parameters: {max_num_seqs: [2, 64]}}
objectives: [minimize itl_p50]
constraints: [ttft_p50 <= 100s]
budget: {trials: 3, repeats: 4, verification: {top: 1, rounds: 3}}
"""
)
COLLECTED = (
    _BASE.format(name="collected", length=1024, more="")
    + """
load: {concurrency: 8, requests: 16, warmup: 2}
treatments: [{max_num_seqs: 8}, {max_num_seqs: 32}]
"""
)
TOO_STRICT = (
    _BASE.format(name="too-strict", length=1024, more="")
    + """
load: {concurrency: 16, requests: 16, warmup: 2}
space: {parameters: {max_num_seqs: [2, 64]}}
objectives: [maximize output_throughput]
constraints: [ttft_p50 <= 1ms]
budget: {trials: 2, verification: {top: 1, rounds: 1}}
"""
)
TOO_LARGE = (
    _BASE.format(name="too-large", length=131072, more=", gpu_memory_utilization: 0.2")
    + """
load: {concurrency: 8, requests: 16}
space: {parameters: {max_num_seqs: [2, 64]}}
objectives: [maximize output_throughput]
budget: {trials: 2}
"""
)
HELD = (
    _BASE.format(name="held", length=1024, more="")
    + "load: {concurrency: 8, requests: 16}\nobjectives: [minimize itl_p50]\n"
)


def create(served: Served, document: str, start: bool = True) -> str:
    answer = served.ask("/api/v1/studies", {"document": document, "start": start})
    assert answer.status == 201, answer.body
    return str(answer.data["id"])


def finish(served: Served, *studies: str, within: float = ENDED) -> dict[str, Any]:
    """Wait for studies to end; their lines by id."""
    end, lines = time.monotonic() + within, {}
    while time.monotonic() < end:
        lines = {study: served.ask(f"/api/v1/studies/{study}").data for study in studies}
        if all(line["state"] in FINAL for line in lines.values()):
            return lines
        time.sleep(0.5)
    raise AssertionError(f"still at work: {[(line['id'], line['state'], line['message']) for line in lines.values()]}")
