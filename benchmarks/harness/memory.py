"""Memory of a long run: ``python -m benchmarks.harness.memory [REQUESTS]`` records simulated requests.

They are told as the load generator tells real ones: tallied, and written to the file of records as they end.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

import psutil

from servelab.harnesses.builtin.record import RecordFile, chunk_intervals, record, token_intervals
from servelab.harnesses.builtin.stream import Answer
from servelab.harnesses.builtin.summary import Tally
from servelab.spec.goal import RequestSLO

REQUESTS = 2_000_000
TOKENS = 8


def simulate(requests: int) -> dict[str, float]:
    """Record them, and say how much memory that took, in bytes."""
    rng = random.Random(1)
    tally = Tally(RequestSLO(ttft=0.2))
    process = psutil.Process()
    before = most = process.memory_info().rss
    with tempfile.TemporaryDirectory() as directory, RecordFile(Path(directory) / "records.jsonl.gz") as file:
        for number in range(requests):
            sent = number * 0.01
            first = sent + rng.lognormvariate(-2, 0.5)
            interval = rng.lognormvariate(-4, 0.3)
            answer = Answer(
                chunks=[first + interval * i for i in range(TOKENS)], prompt_tokens=16, output_tokens=TOKENS
            )
            one = record(answer, 0.0, sent, sent, answer.chunks[-1], 16)
            tally.add(one, token_intervals(answer), chunk_intervals(answer))
            file.write(one)
            if not number % 10_000:
                most = max(most, process.memory_info().rss)
    metrics = tally.metrics()
    most = max(most, process.memory_info().rss)
    return {"requests": tally.requests, "before": before, "most": most, "ttft_p50": metrics["ttft_p50"]}


if __name__ == "__main__":
    print(json.dumps(simulate(int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS)))
