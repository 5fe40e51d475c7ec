"""Units, spaces and goals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from servelab.spec.base import parse_seconds
from servelab.spec.goal import Constraint, Objective, RequestSLO
from servelab.spec.load import Load
from servelab.spec.metrics import format_metric, metric, metric_names
from servelab.spec.space import Space
from servelab.spec.workload import Tokens


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("2s", 2), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("7", 7), ("250 us", 250e-6)],
)
def test_durations(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)


@given(st.floats(min_value=0.001, max_value=1e6))
def test_durations_round_trip(seconds):
    assert parse_seconds(f"{seconds!r}s") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "ms", "5 parsecs", "-3s", "1e"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="duration"):
        parse_seconds(text)


def test_goals_in_words():
    assert Objective.model_validate("minimise ttft_p95 at 4") == Objective(
        metric="ttft_p95", direction="minimize", at=4
    )
    assert Constraint.model_validate("error_rate < 1%").bound == pytest.approx(0.01)
    assert Constraint.model_validate("request_throughput >= 3").min == 3
    assert str(Constraint.model_validate("ttft_p95 <= 500ms")) == "ttft_p95 <= 500 ms"


def test_violation_is_a_share_of_the_bound():
    assert Constraint.model_validate("ttft_p95 <= 500ms").violation(0.75) == pytest.approx(0.5)
    assert Constraint.model_validate("request_throughput >= 4").violation(3) == pytest.approx(0.25)
    assert Constraint.model_validate("ttft_p95 <= 500ms").violation(0.4) < 0


def test_one_token_has_no_tpot_to_break():
    assert RequestSLO(tpot=0.01).kept(ttft=1, tpot=None, e2e=1) == {"tpot": True}
    assert RequestSLO(ttft=2, tpot=0.01).kept(ttft=1, tpot=0.02, e2e=1) == {"ttft": True, "tpot": False}


def test_every_metric_is_described_and_formatted():
    for name in metric_names():
        assert metric(name).title
        assert format_metric(name, 0.1234)


SPACE = Space.model_validate(
    {
        "parameters": {
            "spec": ["off", "ngram"],
            "depth": {"low": 1, "high": 6, "when": {"spec": "ngram"}},
            "kv": ["auto", "fp8"],
        },
        "forbid": [{"spec": "ngram", "kv": "fp8"}],
    }
)


def test_conditions_and_forbidden_combinations():
    assert SPACE.contains({"spec": "off", "kv": "fp8"})
    assert SPACE.contains({"spec": "ngram", "depth": 3, "kv": "auto"})
    assert not SPACE.contains({"spec": "ngram", "kv": "auto"})
    assert not SPACE.contains({"spec": "off", "depth": 3, "kv": "auto"})
    assert not SPACE.contains({"spec": "ngram", "depth": 3, "kv": "fp8"})
    assert SPACE.size == 2 * 6 * 2


@pytest.mark.parametrize(
    "parameters",
    [
        {"a": [1, 2], "b": {"low": 1, "high": 2, "when": {"c": 1}}},
        {"b": {"low": 1, "high": 2, "when": {"a": 1}}, "a": [1, 2]},
        {"a": [1, 2], "b": {"low": 1, "high": 2, "when": {"a": 3}}},
        {"a": {"low": 0, "high": 2, "log": True}},
    ],
)
def test_contradictory_spaces_are_refused(parameters):
    with pytest.raises(ValidationError):
        Space.model_validate({"parameters": parameters})


def test_true_is_not_one():
    space = Space.model_validate({"parameters": {"a": [True, False], "n": [1, 0]}})
    assert space.contains({"a": True, "n": 1})
    assert not space.contains({"a": 1, "n": 1})
    assert not space.contains({"a": True, "n": True})


def test_a_sweep_lies_between_its_extremes():
    load = Load(sweep=5, requests=10)
    assert [point.kind for point in load.points] == ["concurrency", "throughput"]
    between = load.between(1.0, 7.0)  # as in guidellm: the last one is what the fastest reached
    assert [(point.kind, round(point.level, 3)) for point in between] == [("constant", n) for n in (3, 5, 7)]
    assert Load(sweep=3, requests=10, arrival="poisson").between(1.0, 5.0)[0].kind == "poisson"
    assert Load.model_validate(load.model_dump()) == load


@given(st.floats(min_value=1, max_value=1e4), st.integers(min_value=1, max_value=20000))
def test_a_distribution_has_room(mean, low):
    try:
        tokens = Tokens(mean=mean, min=low)
    except ValidationError:
        assert low > round(2 * mean)
    else:
        assert tokens.min <= tokens.upper < math.inf
