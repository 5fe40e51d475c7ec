"""What a study does next, from what the store holds."""

from __future__ import annotations

from servelab.lab.screening import hopeless, shortened
from servelab.lab.steps import End, Try, Verify, Wait, next_step
from servelab.spec.deployment import Failure
from servelab.spec.load import LoadPoint
from servelab.spec.report import Provenance, Report
from servelab.spec.trial import Timings, Trial
from tests.lab.studies import small


def trial(number: int, state: str = "complete", **more) -> Trial:
    kind = more.pop("kind", "baseline" if number == 0 else "search")
    return Trial.model_validate({"number": number, "parameters": {}, "kind": kind, "state": state, **more})


def failed(number: int) -> Trial:
    return trial(number, "failed", failure=Failure(kind="crash", stage="ready", message="boom"))


def test_the_default_comes_first_and_is_waited_for():
    assert next_step(small(), [], False) == Try("baseline")
    assert isinstance(next_step(small(), [trial(0, "running")], False), Wait)
    assert next_step(small(), [trial(0)], False) == Try("search")


def test_a_budget_ends_the_search():
    study = small(budget="{trials: 2, verification: {top: 1}}")
    assert isinstance(next_step(study, [trial(0), trial(1, "running")], False), Wait)
    assert isinstance(next_step(study, [trial(0), trial(1)], False), Verify)
    verified = [trial(0), trial(1), trial(2, "complete", kind="verification")]
    assert next_step(study, verified, False) == End("complete", "verified")


def test_wall_time_and_exhaustion_end_it_too():
    study = small(budget="{wall_time: 10s, verification: {top: 0}}")
    long = [trial(0, timings=Timings(total=11))]
    assert isinstance(next_step(study, long, False), End)
    assert isinstance(next_step(small(), [trial(0)], True), End)


def test_nothing_measured_is_a_failure():
    step = next_step(small(budget="{trials: 2}", baseline="{}"), [trial(0, "stopped"), failed(1)], False)
    assert isinstance(step, End)
    assert step.state == "failed"


def test_a_design_is_given_up_when_its_first_trials_fail_alike():
    study = small(
        space="",
        objectives="",
        constraints="",
        treatments="[{parallel: 1}, {parallel: 2}, {parallel: 4}, {parallel: 8}]",
    )
    assert next_step(study, [], False) == Try("search")
    alike = [failed(i).model_copy(update={"kind": "search"}) for i in range(3)]
    step = next_step(study, alike, False)
    assert isinstance(step, End)
    assert "all failed alike" in step.reason


def report(**metrics: float) -> Report:
    made = Provenance(
        servelab="0", harness="h", harness_version="0", engine="e", model="m", seed=0, started_at="2026-01-01"
    )
    load = LoadPoint(kind="concurrency", level=2, requests=10)
    return Report(load=load, metrics=metrics, requests=10, duration=1, provenance=made)


def test_what_is_hopeless():
    study = small()
    fine = report(output_throughput=10, ttft_p95=1)
    assert hopeless(study, [fine], None) is None
    assert hopeless(study, [fine], 12) is None
    assert "behind the best" in str(hopeless(study, [fine], 20))
    assert "is missed by" in str(hopeless(study, [report(output_throughput=30, ttft_p95=40)], None))


def test_a_screening_long_enough_to_judge_by():
    point = LoadPoint(kind="concurrency", level=8, requests=100)
    assert shortened(point, 0.25) is not None
    assert shortened(point, 0.1) is None
    assert shortened(point, 0) is None
