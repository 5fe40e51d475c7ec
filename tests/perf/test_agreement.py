"""The simulator and the simulated engine over HTTP are the same engine: the same load gives the same latencies.

The engine is slowed down, the margins are wide, and there are several tries, for the machine may be busy, or stand
still for seconds; `make bench-predict` is the measure.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from benchmarks.predict.agreement import Case, measured, simulated
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

TRIES = 4
MARGINS = {
    "itl_p50": {"rel": 0.2},
    "e2e_p50": {"rel": 0.2},
    "e2e_p95": {"rel": 0.2},
    "ttft_p50": {"rel": 0.3, "abs": 0.05},
    "output_throughput": {"rel": 0.15},
}
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
    tally = simulated(case)
    found = tally.metrics()
    for _ in range(TRIES):
        report = measured(case)
        assert tally.requests == report.requests
        assert not report.errors
        far = {name: (found[name], report.metrics[name]) for name in MARGINS if not near(name, found, report.metrics)}
        if not far:
            return
    pytest.fail(f"simulated and measured at the last try: {far}")


def near(name: str, found: Mapping[str, float], measured: Mapping[str, float]) -> bool:
    return found[name] == pytest.approx(measured[name], **MARGINS[name])
