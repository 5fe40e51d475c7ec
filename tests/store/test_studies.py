"""Studies are found again; trials are numbered, measured, finished and counted."""

from __future__ import annotations

import json

import pytest

from servelab.spec.deployment import Failure
from servelab.spec.errors import NotFoundError, StoreError
from servelab.spec.load import LoadPoint
from servelab.spec.report import ClientHealth, Provenance, Report
from servelab.spec.trial import Measurement, Timings, Trial
from servelab.store.store import Store
from tests.lab.studies import small

REPORT = Report(
    load=LoadPoint(kind="poisson", level=2.5, seconds=3),
    metrics={"ttft_p95": 0.1 + 0.2, "output_throughput": 1e-17},
    requests=7,
    duration=3.25,
    errors={"http_429": 2},
    quantiles={"ttft": tuple(i / 7 for i in range(101))},
    server={"running": 1.5},
    client=ClientHealth(verdict="saturated", reasons=("zu langsam: 日本",), cpu=0.95),
    warnings=('a "quoted" warning\nof two lines',),
    provenance=Provenance(
        servelab="0",
        harness="builtin",
        harness_version="0",
        engine="llamacpp",
        model="m",
        parameters={"switch": True, "one": 1, "share": 0.1, "text": "1"},
        seed=1,
        started_at="2026-01-01T00:00:00+00:00",
    ),
    standard={"nested": {"list": [1, None, "x"]}},
)


def measured(point: int = 0, repeat: int = 0) -> Measurement:
    return Measurement(phase="full", point=point, repeat=repeat, report=REPORT)


def finish(store: Store, study: str, trial: Trial, value: float | None, feasible: bool | None = True) -> None:
    """Add a trial, claim it and finish it with a value."""
    store.add_trials(study, [trial])
    claimed = store.claim(study, "w")
    assert claimed is not None
    outcome = {} if value is None else {"output_throughput": value}
    state = "failed" if value is None else "complete"
    store.finish_trial(
        study, claimed.number, "w", state=state, timings=Timings(), outcome=outcome, value=value, feasible=feasible
    )


def test_an_id_is_its_study_whatever_a_later_one_is_called(store):
    first = store.create_study(small(name="alpha"))
    second = store.create_study(small(name=first.id))
    assert store.find_study(first.id).id == first.id
    assert store.get_study(first.id).id == first.id
    assert store.get_study(second.id).id == second.id


def test_a_paused_study_is_not_removed_before_its_running_trial_has_ended(store):
    study = store.create_study(small())
    store.add_trials(study.id, [Trial(number=0, parameters={})])
    store.set_study_state(study.id, "running", "")
    assert store.claim(study.id, "w") is not None
    store.set_study_state(study.id, "paused", "")
    with pytest.raises(StoreError, match=f"trial 0 of {study.id} is still running"):
        store.delete_study(study.id)
    store.add_measurement(study.id, 0, "w", measured())
    store.release(study.id, 0, "w")
    store.delete_study(study.id)
    with pytest.raises(NotFoundError):
        store.study_state(study.id)


def test_a_study_is_found_by_id_beginning_and_name(store):
    first = store.create_study(small(name="alpha"))
    second = store.create_study(small(name="beta"))
    assert store.get_study(first.id).study == small(name="alpha")
    assert store.find_study(first.id).id == first.id
    assert store.find_study(first.id[:-1]).id == first.id
    assert store.find_study("alpha").id == first.id
    assert store.find_study("").id == second.id
    assert [row.id for row in store.list_studies()] == [second.id, first.id]


def test_of_two_studies_with_a_name_the_last_is_meant(store):
    older, newer = (store.create_study(small(name="alpha")) for _ in range(2))
    assert store.find_study("alpha").id == newer.id
    with pytest.raises(NotFoundError, match="begins 2 studies") as caught:
        store.find_study("alph")
    assert older.id in caught.value.remedy


def test_a_misspelt_study_is_told_the_nearest(store):
    with pytest.raises(NotFoundError, match="there are no studies"):
        store.find_study("alpha")
    record = store.create_study(small(name="throughput"))
    with pytest.raises(NotFoundError, match="no study 'troughput'") as caught:
        store.find_study("troughput")
    assert f"Did you mean {record.id}?" in caught.value.remedy


def test_the_longest_name_makes_a_valid_id(store):
    record = store.create_study(small(name="a" * 43 + "-bcdef"))
    assert record.id.startswith("a" * 43 + "-")
    assert "--" not in record.id
    assert len(record.id) <= 50
    assert store.get_study(record.id) == record


def test_a_study_is_stored_to_the_last_digit(store, url):
    study = small(description='"grüße 世界\\n"', constraints="[ttft_p95 <= 0.30000000000000004s]")
    record = store.create_study(study)
    assert Store(url).get_study(record.id).study == study


def test_the_state_of_a_study_is_kept_with_its_reason(store):
    record = store.create_study(small())
    store.set_study_state(record.id, "running", "")
    assert store.get_study(record.id).finished_at is None
    assert store.advance_study(record.id, "complete", "all done")
    found = store.get_study(record.id)
    assert (found.state, found.message) == ("complete", "all done")
    assert found.finished_at is not None
    assert not store.advance_study(record.id, "failed", "too late")
    assert store.study_state(record.id) == "complete"


def test_trials_are_numbered_on_from_the_last(store):
    one, other = store.create_study(small()), store.create_study(small())
    for _ in range(2):
        store.add_trials(one.id, [Trial(number=9, parameters={"n": 1}), Trial(number=9, parameters={"n": 2})])
    store.add_trials(other.id, [Trial(number=5, parameters={})])
    assert [(t.number, t.parameters["n"], t.state) for t in store.trials(one.id)] == [
        (0, 1, "waiting"),
        (1, 2, "waiting"),
        (2, 1, "waiting"),
        (3, 2, "waiting"),
    ]
    assert [t.number for t in store.trials(other.id)] == [0]
    with pytest.raises(NotFoundError, match="has no trial 4"):
        store.trial(one.id, 4)


def test_a_paused_study_gets_no_trials_with_a_state(store):
    record = store.create_study(small())
    store.set_study_state(record.id, "paused", "")
    assert not store.add_trials(record.id, [Trial(number=0, parameters={})], "verifying", "")
    assert store.trials(record.id) == []
    assert store.study_state(record.id) == "paused"


def test_parameters_keep_their_types(store):
    record = store.create_study(small())
    parameters = {"switch": True, "off": False, "one": 1, "share": 0.1, "text": "1", "empty": ""}
    store.add_trials(record.id, [Trial(number=0, parameters=parameters, kind="verification", verifies=3, round=2)])
    found = store.trial(record.id, 0)
    assert found.parameters == parameters
    assert [type(v) for v in found.parameters.values()] == [type(v) for v in parameters.values()]
    assert (found.kind, found.verifies, found.round) == ("verification", 3, 2)


def test_a_report_comes_back_as_it_was(store):
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={})])
    store.claim(record.id, "w")
    for place in ((0, 0), (1, 0), (0, 1)):
        store.add_measurement(record.id, 0, "w", measured(*place))
    found = store.trial(record.id, 0).measurements
    assert [(m.point, m.repeat) for m in found] == [(0, 0), (1, 0), (0, 1)]
    assert found[0].report == REPORT
    assert store.trials(record.id)[0].measurements == ()
    assert store.trials(record.id, with_reports=True)[0].measurements == found


def test_nothing_is_measured_twice_at_a_place(store):
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={})])
    store.claim(record.id, "w")
    store.add_measurement(record.id, 0, "w", measured())
    with pytest.raises(StoreError, match="measured twice") as caught:
        store.add_measurement(record.id, 0, "w", measured())
    assert f"servelab resume {record.id}" in caught.value.remedy
    assert len(store.trial(record.id, 0).measurements) == 1
    assert [event.kind for event in store.events(0)].count("measured") == 1


def test_a_finished_trial_says_how_it_ended(store):
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={})])
    store.claim(record.id, "w")
    failure = Failure(kind="out_of_memory", stage="ready", message="no memory", evidence="OOM\n")
    timings = Timings(ready=1.5, total=2.25)
    store.finish_trial(
        record.id, 0, "w", state="failed", timings=timings, outcome={}, failure=failure, note="n", command=("a", "b c")
    )
    found = store.trial(record.id, 0)
    assert found.final
    assert (found.failure, found.timings, found.note, found.command) == (failure, timings, "n", ("a", "b c"))
    assert found.finished_at is not None
    assert store.claim(record.id, "w") is None


@pytest.mark.parametrize(("objective", "best"), [("maximize", 2), ("minimize", 1)])
def test_the_best_is_feasible_and_of_the_search(store, objective, best):
    record = store.create_study(small(objectives=f"[{objective} output_throughput]"))
    for value, feasible in ((20.0, True), (10.0, True), (30.0, True), (99.0, False), (1.0, False), (0.5, None)):
        finish(store, record.id, Trial(number=0, parameters={}), value, feasible)
    finish(store, record.id, Trial(number=0, parameters={}), None, feasible=None)
    for value in (500.0, 0.01):
        finish(store, record.id, Trial(number=0, parameters={}, kind="verification", verifies=2), value)
    store.add_trials(record.id, [Trial(number=0, parameters={})])
    found = store.summary(record.id)
    assert found.best_trial == best
    assert found.best == {2: 30.0, 1: 10.0}[best]
    assert found.counts == {"complete": 6, "failed": 1, "waiting": 1}
    assert found.verifications == {"complete": 2}
    assert json.loads(json.dumps(found.as_dict()))["objective"] == "output_throughput"


def test_a_study_without_trials_has_no_best(store):
    found = store.summary(store.create_study(small()).id)
    assert (found.best, found.best_trial, found.counts) == (None, None, {})


def test_events_tell_everything_in_order(store):
    record, other = store.create_study(small()), store.create_study(small())
    finish(store, record.id, Trial(number=0, parameters={}), 1.0)
    store.append_event(record.id, 0, "note", {"text": "ü", "n": [1]})
    told = store.events(0, record.id)
    assert [event.kind for event in told] == ["created", "added", "claimed", "finished", "note"]
    assert told[-1].data == {"text": "ü", "n": [1]}
    everything = store.events(0)
    ids = [event.id for event in everything]
    assert ids == sorted(set(ids))
    assert {event.study for event in everything} == {record.id, other.id}
    paged, after = [], 0
    while page := store.events(after, limit=2):
        paged += page
        after = page[-1].id
    assert paged == everything
