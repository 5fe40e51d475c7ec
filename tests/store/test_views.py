"""What live views read says the same as the whole."""

from __future__ import annotations

import pytest

from servelab.spec.trial import Trial
from servelab.store.claims import LEASE
from servelab.store.views import summarized
from tests.lab.studies import small
from tests.store.test_studies import finish


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_summary_of_trials_in_memory_is_that_of_the_store(store, direction):
    objectives = [f"{direction} output_throughput"]
    study = store.create_study(small(objectives=objectives)).id
    assert summarized(store.points(study), "output_throughput", direction == "maximize") == store.summary(study)
    for number, (value, feasible) in enumerate([(3.0, True), (9.0, False), (None, None), (5.0, True), (1.0, None)]):
        finish(store, study, Trial(number=number, parameters={}), value, feasible)
    finish(store, study, Trial(number=0, parameters={}, kind="verification", verifies=3), 99.0)
    store.add_trials(study, [Trial(number=0, parameters={})])
    assert summarized(store.points(study), "output_throughput", direction == "maximize") == store.summary(study)


def test_the_last_event_of_each_trial_is_found(store):
    study = store.create_study(small()).id
    store.add_trials(study, [Trial(number=0, parameters={}), Trial(number=1, parameters={})])
    store.append_event(study, 0, "starting", {})
    store.append_event(study, 1, "measuring", {"load": "concurrency 8"})
    store.append_event(study, 0, "ready", {"seconds": 3})
    assert {number: event.kind for number, event in store.latest(study, [0, 1]).items()} == {0: "ready", 1: "measuring"}
    assert list(store.latest(study, [1])) == [1]
    assert store.latest(study, []) == {}


def test_claims_and_leases_of_all_studies(store):
    first, second = (store.create_study(small()).id for _ in range(2))
    for study in (first, second):
        store.add_trials(study, [Trial(number=0, parameters={})] * 2)
    assert store.claims() == []
    assert store.claim(first, "a/1/1/x")
    assert store.claim(second, "b/1/1/x")
    assert store.acquire_devices(second, 0, "b/1/1/x", ["b/0", "b/1"], 1)
    claims = store.claims()
    assert {(one.study, one.trial, one.worker) for one in claims} == {(first, 0, "a/1/1/x"), (second, 0, "b/1/1/x")}
    assert all(one.silent is not None and 0 <= one.silent <= LEASE for one in claims)
    assert [(one.device, one.study, one.trial) for one in store.leases()] == [("b/0", second, 0)]
    store.release(first, 0, "a/1/1/x")
    store.release_devices(second, 0, "b/1/1/x")
    assert [one.study for one in store.claims()] == [second]
    assert store.leases() == []
    assert store.counts() == ({"waiting": 2}, {"waiting": 3, "running": 1})
