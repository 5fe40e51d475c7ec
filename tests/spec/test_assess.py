"""From reports to what a sampler is told."""

from __future__ import annotations

from servelab.spec.assess import goal_metrics, learned_metrics
from servelab.spec.load import LoadPoint
from servelab.spec.report import ClientHealth, Provenance, Report
from servelab.spec.study import Study

STUDY = Study.model_validate(
    {
        "name": "s",
        "model": {"id": "m"},
        "engine": {"name": "simulated"},
        "workload": {"prompt": 1, "output": 1},
        "load": {"concurrency": [1, 8], "requests": 10},
        "space": {"parameters": {"max_num_seqs": [1, 2]}},
        "objectives": ["maximize output_throughput"],
        "constraints": ["ttft_p95 <= 1s at 1", "itl_p95 <= 1s at 8"],
    }
)


def report(level: float, **health) -> Report:
    return Report(
        load=LoadPoint(kind="concurrency", level=level, requests=10),
        metrics={"output_throughput": 10 * level, "ttft_p95": 0.1, "itl_p95": 0.01},
        requests=10,
        duration=1,
        client=ClientHealth(**{"verdict": "ok", **health}),
        provenance=Provenance(
            servelab="0", harness="h", harness_version="0", engine="e", model="m", seed=0, started_at="2026-01-01"
        ),
    )


def test_a_goal_is_learned_unless_a_slow_client_measured_it():
    sound = [report(1), report(8)]
    assert learned_metrics(STUDY, sound) == goal_metrics(STUDY, sound)
    assert len(goal_metrics(STUDY, sound)) == 3
    slow = [report(1), report(8, verdict="saturated")]
    assert learned_metrics(STUDY, slow) == {"ttft_p95@1": 0.1}
    assert goal_metrics(STUDY, slow) == goal_metrics(STUDY, sound)


def test_what_the_server_was_late_with_and_what_is_not_known_are_learned():
    for health in ({"verdict": "saturated", "capped": True}, {"verdict": "unknown"}):
        assert len(learned_metrics(STUDY, [report(1, **health), report(8)])) == 3
