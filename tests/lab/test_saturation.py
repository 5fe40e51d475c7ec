"""A saturation search in the loop: probes are kept, one report stands for the trial."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from servelab.harnesses.base import Job, Progress
from servelab.lab.identity import worker_name
from servelab.lab.measure import with_sample_warnings
from servelab.lab.plan import make_plan
from servelab.lab.run import run_study
from servelab.lab.suggest import candidates
from servelab.spec.load import LoadPoint
from servelab.spec.report import ClientHealth, Provenance, Report
from servelab.spec.saturation import most_probes
from servelab.spec.study import Study
from servelab.spec.trial import Trial
from tests.lab.studies import small

LOAD = "{saturation: {of: rate, low: 1, high: 64, tolerance: 0.1}, requests: 100}"


def study(**changes: str) -> Study:
    given = {
        "engine": "simulated",
        "model": "{id: m}",
        "load": LOAD,
        "space": "",
        "treatments": "[{max_num_seqs: 4}, {max_num_seqs: 8}]",
        "objectives": "[maximize saturation]",
        "constraints": "[ttft_p95 <= 500ms]",
        "budget": "{verification: {top: 1, rounds: 2}}",
    }
    return small(**given | changes)


def report(load: LoadPoint, **more) -> Report:
    made = Provenance(
        servelab="0", harness="h", harness_version="0", engine="e", model="m", seed=0, started_at="2026-01-01"
    )
    return Report(load=load, duration=1, provenance=made, **{"metrics": {}, "requests": 100} | more)


class Known:
    """A harness of a server that saturates at one request a second per sequence; dies at its third measurement."""

    name = "known"

    def __init__(self) -> None:
        self.loads: list[float] = []
        self.dies_at = 3

    async def measure(self, job: Job, progress: Callable[[Progress], None]) -> Report:
        self.loads.append(job.load.level)
        if len(self.loads) == self.dies_at:
            raise asyncio.CancelledError
        ttft = 0.5 * job.load.level / float(job.parameters["max_num_seqs"])
        found = {"metrics": {"ttft_p95": ttft}, "intervals": {"ttft_p95": (ttft, ttft)}}
        return report(job.load, client=ClientHealth(verdict="ok"), **found)


async def test_a_search_is_resumed_where_it_was_and_answers_once(store, monkeypatch):
    known = Known()
    monkeypatch.setattr("servelab.lab.setup.harness", lambda name, options: known)
    record = store.create_study(study())
    try:
        await run_study(store, record.id)
    except asyncio.CancelledError:
        store.release(record.id, 0, worker_name())
    assert known.loads == [1, 2, 4]
    record = await run_study(store, record.id)
    assert record.state == "complete"
    assert known.loads[3] == 4, "what was stored is not measured again"
    trials = store.trials(record.id, with_reports=True)
    assert [t.state for t in trials] == ["complete"] * len(trials)
    for trial in trials:
        (answer,) = trial.reports
        capacity = float(trial.parameters["max_num_seqs"])
        assert answer.metrics["saturation"] <= capacity <= 1.1 * answer.metrics["saturation"]
        assert trial.feasible
        assert "saturates at" in trial.note
        assert {m.phase for m in trial.measurements} == {"probe", "full"}
    assert [t.kind for t in trials[2:]] == ["verification"] * 2, "the best is searched again in each round"


def test_the_plan_counts_at_most_all_steps():
    made = make_plan(study())
    assert made.measurements_per_trial == most_probes(study().load)
    assert made.adaptive
    assert made.load_seconds is None


def test_a_percentile_of_too_few_requests_taints_the_report():
    asked = study(load="{rate: [1, 2], requests: 50}", objectives="", constraints="[ttft_p99 <= 1s at 2]")
    few = [report(point, metrics={"ttft_p99": 0.1}, requests=50) for point in asked.load.points]
    assert with_sample_warnings(asked, few[0]) == few[0], "the SLO is read at the other level"
    (warning,) = with_sample_warnings(asked, few[1]).warnings
    assert warning == "ttft_p99 of 50 requests is a guess: it needs at least 368"


def test_what_is_in_doubt_is_not_verified_while_anything_else_is():
    asked = small(budget="{trials: 4, verification: {top: 2}}")

    def trial(number: int, value: float, feasible: bool | None) -> Trial:
        return Trial(
            number=number,
            parameters={"parallel": number},
            state="complete",
            outcome={"output_throughput": value, "ttft_p95": 0.1},
            feasible=feasible,
        )

    tainted, sound = trial(1, 900, None), trial(2, 100, True)
    assert [t.number for t in candidates(asked, [tainted, sound])] == [2]
    assert [t.number for t in candidates(asked, [tainted])] == [1]
