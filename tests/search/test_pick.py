"""Which configurations are recommended."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servelab.search.pick import recommend
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters
from tests.search.problems import DEFAULT, LATENCY, THROUGHPUT, measure, problem, search


def observed(number: int, throughput: float, itl: float, **changes: object) -> Observation:
    parameters: Parameters = {**DEFAULT, "batch": 10 + number}
    return Observation(
        number=number, parameters=parameters, metrics={"output_throughput": throughput, "itl_mean": itl}
    ).model_copy(update=changes)


def test_only_what_was_measured_to_keep_the_constraints_is_recommended():
    found = [observed(0, 900, 0.06), observed(1, 500, 0.04), observed(2, 800, 0.045, partial=True)]
    assert recommend(problem(), found) == [1]
    assert recommend(problem(), found[:1]) == []


def test_at_most_so_many():
    found = [observed(number, 500 + 10 * number, 0.02) for number in range(6)]
    assert len(recommend(problem(), found)) == 6
    assert recommend(problem(), found, 2) == recommend(problem(), found)[:2]


def test_without_a_space_the_measured_order_counts():
    treatments = tuple({"tp": tp} for tp in (1, 2, 4))
    task = problem(space=None, treatments=treatments, constraints=())
    found = [
        Observation(number=n, parameters=p, metrics={"output_throughput": value})
        for n, (p, value) in enumerate(zip(treatments, (10.0, 30.0, 20.0), strict=True))
    ]
    assert recommend(task, found) == [1, 2, 0]


def test_noise_does_not_choose():
    """One lucky measurement among many of nearly the same configuration does not win over a truly better region."""
    poor = [observed(n, 1000, 0.02) for n in range(8)]
    lucky = observed(8, 1120, 0.02)
    good = [
        observed(n, 1100, 0.02).model_copy(update={"parameters": {**DEFAULT, "tp": 2, "batch": n}})
        for n in range(20, 28)
    ]
    best = recommend(problem(), [*poor, lucky, *good], 1)[0]
    assert best >= 20


def test_barely_kept_constraints_yield_to_safely_kept_ones():
    risky = observed(0, 1010, 0.0499)
    safe = Observation(
        number=1,
        parameters={**DEFAULT, "tp": 4, "batch": 64},
        metrics={"output_throughput": 1000, "itl_mean": 0.03},
    )
    assert recommend(problem(), [risky, safe], 1) == [1]


def test_with_several_objectives_the_front_comes_first():
    task = problem(objectives=(THROUGHPUT, LATENCY), constraints=())
    found = [observed(0, 1000, 0.05), observed(1, 2000, 0.10), observed(2, 900, 0.11), observed(3, 1500, 0.07)]
    spread = [
        o.model_copy(update={"parameters": {**DEFAULT, "tp": tp}}) for o, tp in zip(found, (1, 2, 4, 8), strict=True)
    ]
    assert recommend(task, spread)[-1] == 2


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(12)))
def test_the_order_of_observations_does_not_matter(order):
    task = problem()
    found = search("random", task, 12)
    assert recommend(task, [found[index] for index in order]) == recommend(task, found)


def test_the_pick_is_sound_on_a_known_truth():
    task = problem(seed=3)
    found = search("auto", task, 20)
    best = recommend(task, found, 1)[0]
    again = measure(best, next(o.parameters for o in found if o.number == best), noise=0)
    assert again.metrics["itl_mean"] == pytest.approx(0.05, rel=0.05) or again.metrics["itl_mean"] < 0.05
    assert math.isfinite(again.metrics["output_throughput"])
