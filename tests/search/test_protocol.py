"""What every sampler promises, whatever it thinks of next."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelab.search.base import sampler
from servelab.search.draw import enumerate_space, key
from servelab.spec.assess import Observation
from servelab.spec.errors import DocumentError
from servelab.spec.space import Space
from tests.search.problems import DEFAULT, SEARCHING, SERVING, measure, problem, search, spaces

SMALL = Space.model_validate(
    {
        "parameters": {
            "a": [1, 2],
            "b": {"choices": [True, False], "when": {"a": 2}},
            "c": {"low": 1, "high": 7, "step": 3},
        },
        "forbid": [{"a": 2, "b": False, "c": 4}],
    }
)


@pytest.mark.parametrize("name", SEARCHING)
def test_the_baseline_is_trial_0(name):
    assert sampler(name, problem()).ask(0, []) == DEFAULT


@pytest.mark.parametrize("name", SEARCHING)
def test_the_order_of_telling_does_not_matter(name):
    task = problem()
    told = search("random", task, 14)
    suggestions = []
    for seed in (None, 1, 2):
        searcher = sampler(name, task)
        shuffled = list(told) if seed is None else random.Random(seed).sample(told, len(told))
        for observation in shuffled:
            searcher.tell(observation)
        suggestions.append(searcher.ask(14, []))
    assert suggestions[0] == suggestions[1] == suggestions[2]


@pytest.mark.parametrize("name", SEARCHING)
def test_a_resumed_search_goes_on_as_if_never_stopped(name):
    task = problem()
    undisturbed = search(name, task, 12)
    for number in (3, 7, 11):
        resumed = sampler(name, task)
        for observation in undisturbed[:number]:
            resumed.tell(observation)
        assert resumed.ask(number, []) == undisturbed[number].parameters


@pytest.mark.parametrize("name", SEARCHING)
def test_another_seed_is_another_search(name):
    first, second = (search(name, problem(seed=seed), 8) for seed in (1, 2))
    assert [o.parameters for o in first] != [o.parameters for o in second]


@pytest.mark.parametrize("name", SEARCHING)
def test_nothing_is_tried_twice_and_everything_is_legal(name):
    tried = [o.parameters for o in search(name, problem(), 25)]
    assert len({key(parameters) for parameters in tried}) == 25
    assert all(SERVING.contains(parameters) for parameters in tried)


@pytest.mark.parametrize("name", [*SEARCHING, "grid"])
def test_pending_configurations_are_not_suggested_again(name):
    task = problem(space=SMALL, baseline={"a": 1, "c": 1})
    searcher = sampler(name, task)
    searcher.tell(measured(0, task.baseline))
    pending = []
    for number in range(1, 8):
        parameters = searcher.ask(number, pending)
        assert parameters is not None
        assert key(parameters) not in {key(other) for other in pending}
        pending.append(parameters)
    assert searcher.ask(8, pending) is None


@pytest.mark.parametrize("name", [*SEARCHING, "grid"])
def test_an_exhausted_space_ends_the_search(name):
    task = problem(space=SMALL, baseline={"a": 1, "c": 1})
    everything = enumerate_space(SMALL)
    assert len(everything) == 3 + 6 - 1
    found = search(name, task, len(everything), outcome=measured)
    assert {key(o.parameters) for o in found} == {key(parameters) for parameters in everything}
    searcher = sampler(name, task)
    for observation in found:
        searcher.tell(observation)
    assert searcher.ask(len(found), []) is None


@pytest.mark.parametrize("name", SEARCHING)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(space=spaces(), seed=st.integers(0, 3))
def test_any_space_is_honoured(name, space, seed):
    task = problem(space=space, baseline={}, seed=seed)
    searcher = sampler(name, task)
    searcher.tell(measured(0, {}))
    seen = set()
    for number in range(1, 9):
        parameters = searcher.ask(number, [])
        if parameters is None:
            assert space.size < 1000
            break
        assert space.contains(parameters), parameters
        assert key(parameters) not in seen
        seen.add(key(parameters))
        searcher.tell(measured(number, parameters))


@pytest.mark.parametrize("name", SEARCHING)
def test_a_passing_failure_says_nothing_of_the_configuration(name):
    task = problem(space=SMALL, baseline={"a": 1, "c": 1})
    searcher = sampler(name, task)
    for number, parameters in enumerate(enumerate_space(SMALL)):
        passing = number == 3
        searcher.tell(
            Observation(number=number, parameters=parameters, metrics={}, cause="image pull", transient=True)
            if passing
            else measured(number, parameters)
        )
    assert searcher.ask(8, []) == enumerate_space(SMALL)[3]


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_what_ran_but_was_not_known_teaches_nothing(name):
    told = search("random", problem(), 30)
    unknown = [
        Observation(number=30 + n, parameters={**DEFAULT, "batch": 3 + n, "memory": 0.6}, metrics=metrics)
        for n, metrics in enumerate(({}, {}, {"itl_mean": 9.0}, {"output_throughput": 1e6}))
    ]
    suggestions = []
    for observations in (told, [*told, *unknown]):
        searcher = sampler(name, problem())
        for observation in observations:
            searcher.tell(observation)
        suggestions.append(searcher.ask(40, []))
    assert suggestions[0] == suggestions[1]


@pytest.mark.parametrize("name", SEARCHING)
def test_what_ran_but_was_not_known_is_not_tried_again(name):
    everything = enumerate_space(SMALL)
    searcher = sampler(name, problem(space=SMALL, baseline={"a": 1, "c": 1}))
    for number, parameters in enumerate(everything):
        searcher.tell(Observation(number=number, parameters=parameters, metrics={}))
    assert searcher.ask(len(everything), []) is None


@pytest.mark.parametrize("name", SEARCHING)
def test_failures_alone_do_not_stop_the_search(name):
    found = search(name, problem(), 8, outcome=failed)
    assert all(key(a.parameters) != key(b.parameters) for a, b in pairwise(found))


def test_a_grid_needs_values():
    with pytest.raises(DocumentError, match="memory, which has no steps"):
        sampler("grid", problem())


def test_a_search_needs_a_space():
    with pytest.raises(DocumentError, match="the study has none"):
        sampler("auto", problem(space=None))


def test_treatments_come_in_order_and_as_often_as_listed():
    listed = ({"tp": 2}, {"tp": 1}, {"tp": 2})
    searcher = sampler("treatments", problem(space=None, treatments=listed, baseline={}))
    assert searcher.ask(0, []) == {"tp": 2}
    searcher.tell(measured(0, {"tp": 2}))
    assert searcher.ask(1, []) == {"tp": 1}
    assert searcher.ask(2, [{"tp": 1}]) == {"tp": 2}
    assert searcher.ask(3, [{"tp": 1}, {"tp": 2}]) is None


def measured(number, parameters):
    return Observation(
        number=number,
        parameters=parameters,
        metrics={"output_throughput": 100.0 + len(str(parameters)) * 3 + number % 3, "itl_mean": 0.04},
    )


def failed(number, parameters):
    return measure(number, parameters).model_copy(update={"metrics": {}, "cause": f"crash: {number % 2}"})
