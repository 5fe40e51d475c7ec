"""The simulator and the simulated engine over HTTP are the same engine: the same load gives the same latencies.

The engine is slowed down, and the margins are wide, for the machine may be busy; `make bench-predict` is the measure.
"""

from __future__ import annotations

import pytest

from benchmarks.predict.agreement import Case, measured, simulated
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

LENGTHS = {"prompt": {"mean": 200, "stdev": 50}, "output": {"mean": 24, "stdev": 6}}
CLOSED = Case(
    "closed loop",
    Workload.model_validate(LENGTHS),
    LoadPoint(kind="concurrency", level=6, requests=60, warmup=6),
    scale=6,
)
OPEN = Case(
    "open loop, queueing",
    Workload.model_validate(LENGTHS),
    LoadPoint(kind="poisson", level=4, requests=50),
    arguments=("--max-num-seqs", "3"),
    scale=6,
)


@pytest.mark.parametrize("case", [CLOSED, OPEN], ids=lambda case: case.title)
def test_measured_and_simulated_agree(case):
    report, tally = measured(case), simulated(case)
    found = tally.metrics()
    assert tally.requests == report.requests
    assert not report.errors
    for name in ("itl_p50", "e2e_p50", "e2e_p95"):
        assert found[name] == pytest.approx(report.metrics[name], rel=0.2), name
    assert found["ttft_p50"] == pytest.approx(report.metrics["ttft_p50"], rel=0.3, abs=0.05)
    assert found["output_throughput"] == pytest.approx(report.metrics["output_throughput"], rel=0.15)
