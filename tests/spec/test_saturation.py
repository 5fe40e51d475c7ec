"""The search for the highest load that meets the SLO."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from servelab.spec.goal import Constraint
from servelab.spec.load import Load, LoadPoint
from servelab.spec.report import ClientHealth, Provenance, Report
from servelab.spec.saturation import conclude, evaluate, judge, most_probes, next_probe
from servelab.spec.study import Study

SLO = (Constraint.model_validate("ttft_p95 <= 500ms"),)
MADE = Provenance(
    servelab="0", harness="h", harness_version="0", engine="e", model="m", seed=0, started_at="2026-01-01"
)


def load(**changes) -> Load:
    search = {"of": "rate", "low": 1, "high": 64, "tolerance": 0.05} | changes
    return Load.model_validate({"saturation": search, "requests": 100})


def report(point: LoadPoint, ttft: float, spread: float = 0.0, client: str = "ok", **more) -> Report:
    return Report(
        load=point,
        metrics={"ttft_p95": ttft},
        intervals={"ttft_p95": (ttft - spread, ttft + spread)},
        requests=point.requests or 0,
        duration=1,
        client=ClientHealth(verdict=client),
        provenance=MADE,
        **more,
    )


def searched(asked: Load, capacity: float, spread: float = 0.0) -> list[Report]:
    """The reports of a whole search of a server whose TTFT reaches the SLO at ``capacity``.

    What is not known, by ``spread`` seconds, shrinks with the root of the requests.
    """
    reports: list[Report] = []
    while (point := next_probe(asked, SLO, reports)) is not None:
        unknown = spread / math.sqrt((point.requests or 1) / 100)
        reports.append(report(point, 0.5 * point.level / capacity, unknown))
        assert len(reports) <= most_probes(asked)
    return reports


@given(st.floats(1.001, 63.9), st.sampled_from([0.01, 0.05, 0.2, 1.0]), st.floats(0, 0.2))
def test_the_answer_is_within_the_tolerance(capacity, tolerance, spread):
    asked = load(tolerance=tolerance)
    reports = searched(asked, capacity, spread)
    found, note = conclude(asked, SLO, reports)
    answer = found.metrics["saturation"]
    assert answer <= capacity <= answer * (1 + tolerance) * 1.002
    assert "saturates at" in note
    low, high = found.intervals["saturation"]
    assert low <= answer
    assert low <= capacity <= high


@given(st.integers(1, 63), st.integers(2, 64))
def test_concurrency_is_found_to_the_stream(capacity, high):
    asked = load(of="concurrency", high=high, tolerance=0.005)
    found, _ = conclude(asked, SLO, searched(asked, capacity))
    assert found.metrics["saturation"] == min(capacity, high)


def test_levels_are_doubled_and_then_halved():
    levels = [one.load.level for one in searched(load(tolerance=0.2), 10)]
    assert levels == [1, 2, 4, 8, 16, 11.31, 9.512]


def test_what_is_in_doubt_is_measured_again_with_more_requests():
    reports = searched(load(tolerance=1.0), 4, spread=0.02)
    at_four = [one.load.requests for one in reports if one.load.level == 4]
    assert at_four == [100, 200, 400], "at the bound itself, no number of requests tells"
    assert [one.load.requests for one in reports if one.load.level != 4] == [100, 100, 100]
    found, note = conclude(load(tolerance=1.0), SLO, reports)
    assert found.metrics["saturation"] == 4
    assert found.intervals["saturation"] == (2, 8)
    assert note == "saturates at 4 req/s (poisson) (surely met 2, surely missed 8; 6 measurements)"


def test_a_search_without_an_end_says_so():
    found, note = conclude(load(), SLO, searched(load(), 1000))
    assert (found.metrics["saturation"], found.intervals["saturation"]) == (64, (64, 64))
    assert "still meets" in note
    found, note = conclude(load(), SLO, searched(load(), 0.1))
    assert found.metrics == {"saturation": 1, "ttft_p95": 5}
    assert "even 1 req/s" in note


def test_a_client_that_was_not_fit_proves_nothing():
    asked = load()
    first = next_probe(asked, SLO, [])
    assert first
    bad = report(first, 9, client="saturated")
    assert judge(SLO, bad) == "open"
    again = next_probe(asked, SLO, [bad])
    assert again
    assert (again.level, again.requests) == (1, 200)
    reports = [bad, report(again, 0.1)]
    assert evaluate(asked, SLO, reports).met
    third = next_probe(asked, SLO, reports)
    assert third
    reports += [report(third.model_copy(update={"requests": 400}), 0.2, client="saturated")]
    found, _ = conclude(asked, SLO, reports)
    assert "the load generator, not the server" in found.warnings[0]
    assert not found.trusted
    assert found.client_bound, "a lower bound, which no sampler must learn as the answer"


def test_a_client_that_waits_for_the_server_shows_that_the_level_is_too_high():
    met = report(LoadPoint(kind="poisson", level=1, requests=100), 0.1)
    waited = report(LoadPoint(kind="poisson", level=2, requests=100), 0.2)
    waited = waited.model_copy(update={"client": ClientHealth(verdict="saturated", capped=True)})
    assert judge(SLO, waited) == "missed"
    found, note = conclude(load(tolerance=1.0), SLO, [met, waited])
    assert (found.metrics["saturation"], found.trusted) == (1, True)
    assert "saturates at" in note


def test_warnings_and_missing_metrics_are_no_success():
    point = LoadPoint(kind="poisson", level=1, requests=400)
    assert judge(SLO, report(point, 0.1, warnings=("rising",))) == "missed"
    assert judge((Constraint.model_validate("itl_p95 <= 1s"),), report(point, 0.1)) == "missed"
    bare = report(point, 0.1).model_copy(update={"intervals": {}})
    assert judge(SLO, bare) == "open", "too few requests for the percentile"
    rate = Constraint.model_validate("request_throughput >= 1")
    assert judge((rate,), bare.model_copy(update={"metrics": {"request_throughput": 2.0}})) == "met"


STUDY = {
    "name": "s",
    "model": {"id": "m"},
    "engine": "vllm",
    "workload": {"prompt": 1, "output": 1},
    "load": {"saturation": {"low": 1, "high": 9}, "requests": 100},
    "constraints": ["ttft_p95 <= 1s"],
}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"constraints": []}, "needs an SLO"),
        ({"constraints": ["ttft_p99 <= 1s"]}, "ttft_p99 of 100 requests is a guess: it needs at least 368"),
        ({"constraints": ["ttft_p95 <= 1s at 4"]}, "finds its level"),
        ({"budget": {"repeats": 2}}, "leave budget.repeats out"),
        ({"load": {"saturation": {"low": 9, "high": 9}, "requests": 100}}, "low 9 must be below high 9"),
        ({"load": {"saturation": {"low": 1, "high": 9}, "seconds": 9}}, "ruled by requests"),
        ({"load": {"saturation": {"low": 1, "high": 9, "max_requests": 50}, "requests": 100}}, "is below the load's"),
        ({"load": {"saturation": {"of": "concurrency", "low": 1.5, "high": 9}, "requests": 9}}, "whole numbers"),
        ({"load": {"saturation": {"of": "replay", "low": 1, "high": 9}, "requests": 100}}, "add workload.trace"),
        ({"load": {"rate": 1, "requests": 9}, "objectives": ["maximize saturation"]}, "add load.saturation"),
    ],
)
def test_what_a_saturation_search_cannot_be(changes, fault):
    assert Study.model_validate(STUDY).load.points == ()
    with pytest.raises(ValidationError, match=fault):
        Study.model_validate(STUDY | changes)
