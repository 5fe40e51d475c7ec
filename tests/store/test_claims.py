"""Workers keep out of each other's way, in processes of their own, and what the dead held is free again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import create_engine, text

from servelab.spec.errors import StoreError
from servelab.spec.trial import Measurement, Timings, Trial
from servelab.store.database import parse_url
from tests.lab.studies import small
from tests.store.test_studies import REPORT

CLAIM_ALL = """
import sys
from servelab.store.store import Store
store = Store(sys.argv[1])
while (trial := store.claim(sys.argv[2], sys.argv[3])) is not None:
    print(trial.number, flush=True)
"""

CLAIM_ONE = """
import sys, time
from servelab.store.store import Store
store = Store(sys.argv[1])
with store.suggesting(sys.argv[2], sys.argv[3]) as held:
    trial = store.claim(sys.argv[2], sys.argv[3])
    store.acquire_devices(sys.argv[2], trial.number, sys.argv[3], ("0", "1"), 2)
    print(trial.number, held, flush=True)
    time.sleep(60)
"""

ADD = """
import sys
from servelab.spec.trial import Trial
from servelab.store.store import Store
store = Store(sys.argv[1])
for _ in range(15):
    store.add_trials(sys.argv[2], [Trial(number=0, parameters={"by": sys.argv[3]})] * 2)
"""

OPEN = """
import sys
from servelab.store.store import Store
print(len(Store(sys.argv[1]).list_studies()))
"""


def process(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def output(child: subprocess.Popen[str]) -> list[str]:
    out, complaints = child.communicate(timeout=240)
    assert child.returncode == 0, complaints
    return out.split()


def with_trials(store, count: int) -> str:
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={"n": i}) for i in range(count)])
    return record.id


def sql(url: str, statement: str, **values: object) -> None:
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()


def finish(store, study: str, number: int, worker: str) -> None:
    store.finish_trial(study, number, worker, state="complete", timings=Timings(), outcome={})


def measure(store, study: str, number: int, worker: str) -> None:
    store.add_measurement(study, number, worker, Measurement(phase="full", point=0, repeat=0, report=REPORT))


def test_trials_are_claimed_in_order(store):
    study = with_trials(store, 3)
    other = with_trials(store, 1)
    claimed = [store.claim(study, "w") for _ in range(4)]
    assert [t and (t.number, t.state, t.attempts) for t in claimed] == [
        (0, "running", 1),
        (1, "running", 1),
        (2, "running", 1),
        None,
    ]
    assert store.trial(other, 0).state == "waiting"


def test_many_processes_claim_a_hundred_trials_once_each(store, url):
    study = with_trials(store, 100)
    claimers = [process(CLAIM_ALL, url, study, f"w{i}") for i in range(4)]
    claimed = [int(word) for claimer in claimers for word in output(claimer)]
    assert sorted(claimed) == list(range(100))
    ids = [event.id for event in store.events(0)]
    assert ids == sorted(set(ids))
    assert len([event for event in store.events(0) if event.kind == "claimed"]) == 100


def test_many_processes_number_their_trials_once_each(store, url):
    study = with_trials(store, 0)
    for adder in [process(ADD, url, study, f"w{i}") for i in range(3)]:
        output(adder)
    assert [t.number for t in store.trials(study)] == list(range(90))


def test_many_processes_may_open_an_empty_store_at_once(url):
    openers = [process(OPEN, url) for _ in range(5)]
    assert [output(opener) for opener in openers] == [["0"]] * 5


def test_a_killed_workers_trial_right_and_devices_are_free_again(store, url):
    study = with_trials(store, 1)
    worker = process(CLAIM_ONE, url, study, "victim")
    assert worker.stdout is not None
    assert worker.stdout.readline().split() == ["0", "True"]
    assert store.claim(study, "heir") is None
    assert store.acquire_devices(study, 0, "heir", ("0", "1"), 1) is None
    with store.suggesting(study, "heir") as held:
        assert not held
    store.release_dead(study, lambda name: False)
    assert store.claim(study, "heir") is None
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert store.claim(study, "heir") is None, "its lease still runs"
    store.release_dead(study, lambda name: name == "victim")
    again = store.claim(study, "heir")
    assert again is not None
    assert (again.number, again.attempts) == (0, 2)
    assert store.acquire_devices(study, 0, "heir", ("0", "1"), 2) == ("0", "1")
    with store.suggesting(study, "heir") as held:
        assert held
    assert [event.kind for event in store.events(0, study)][2:] == ["claimed", "released", "claimed"]


@pytest.mark.parametrize("until", [1.0, 4e12], ids=["long past", "further ahead than any lease"])
def test_what_is_leased_too_long_is_taken_over(store, url, until):
    study = with_trials(store, 1)
    assert store.claim(study, "slow") is not None
    assert store.acquire_devices(study, 0, "slow", ("0",), 1) == ("0",)
    with store.suggesting(study, "slow") as mine:
        assert mine
        sql(url, "UPDATE studies SET suggester_until = :until", until=until)
        with store.suggesting(study, "quick") as taken:
            assert taken
            with store.suggesting(study, "third") as held:
                assert not held
    sql(url, "UPDATE trials SET lease_until = :until", until=until)
    sql(url, "UPDATE devices SET lease_until = :until", until=until)
    again = store.claim(study, "quick")
    assert again is not None
    assert again.attempts == 2
    assert store.acquire_devices(study, 0, "quick", ("0",), 1) == ("0",)


def test_the_end_of_a_lost_right_does_not_end_the_heirs(store, url):
    study = with_trials(store, 0)
    with store.suggesting(study, "slow"):
        sql(url, "UPDATE studies SET suggester_until = 1.0")
        heir = store.suggesting(study, "quick")
        assert heir.__enter__()
    with store.suggesting(study, "third") as held:
        assert not held
    heir.__exit__(None, None, None)
    with store.suggesting(study, "third") as held:
        assert held


def test_a_sign_of_life_renews_the_lease(store, url):
    study = with_trials(store, 1)
    store.claim(study, "w")
    sql(url, "UPDATE trials SET lease_until = 1.0")
    assert store.heartbeat(study, 0, "w")
    assert store.claim(study, "other") is None
    assert not store.heartbeat(study, 0, "other")
    assert not store.heartbeat(study, 7, "w")


def test_who_lost_a_claim_can_write_nothing(store):
    study = with_trials(store, 1)
    store.claim(study, "slow")
    store.release_dead(study, lambda name: True)
    for write in (measure, finish):
        with pytest.raises(StoreError, match="no longer this worker's"):
            write(store, study, 0, "slow")
    store.claim(study, "quick")
    for write in (measure, finish):
        with pytest.raises(StoreError, match="no longer this worker's") as caught:
            write(store, study, 0, "slow")
        assert caught.value.remedy
    store.release(study, 0, "slow")
    assert not store.heartbeat(study, 0, "slow")
    measure(store, study, 0, "quick")
    finish(store, study, 0, "quick")
    with pytest.raises(StoreError, match="no longer this worker's"):
        finish(store, study, 0, "quick")
    found = store.trial(study, 0)
    assert (found.state, len(found.measurements)) == ("complete", 1)


def test_a_released_trial_waits_again(store):
    study = with_trials(store, 2)
    store.claim(study, "w")
    store.release(study, 0, "w")
    store.release(study, 0, "w")
    again = store.claim(study, "other")
    assert again is not None
    assert (again.number, again.attempts) == (0, 2)
    assert [event.kind for event in store.events(0, study)].count("released") == 1


def test_the_right_to_suggest_is_one_workers(store):
    study = with_trials(store, 0)
    with store.suggesting(study, "a") as mine:
        assert mine
        with store.suggesting(study, "b") as theirs:
            assert not theirs
    with store.suggesting(study, "b") as theirs:
        assert theirs
    with pytest.raises(RuntimeError), store.suggesting(study, "b"):
        raise RuntimeError
    with store.suggesting(study, "a") as mine:
        assert mine


def test_devices_are_leased_all_or_none(store):
    pool = ("h/0", "h/1", "h/2")
    study = with_trials(store, 0)
    assert store.acquire_devices(study, 0, "a", pool, 2) == ("h/0", "h/1")
    assert store.acquire_devices(study, 1, "b", pool, 2) is None
    assert store.acquire_devices(study, 1, "b", pool, 1) == ("h/2",)
    store.release_devices(study, 0, "b")
    assert store.acquire_devices(study, 2, "c", pool, 1) is None
    store.release_devices(study, 0, "a")
    assert store.acquire_devices(study, 2, "c", pool, 2) == ("h/0", "h/1")


def test_devices_are_leased_once_among_processes(store, url):
    study = with_trials(store, 0)
    code = (
        "import sys; from servelab.store.store import Store; s = Store(sys.argv[1])\n"
        "for i in range(10):\n"
        "    for d in s.acquire_devices(sys.argv[2], i, sys.argv[3], [str(n) for n in range(12)], 2) or (): print(d)"
    )
    takers = [process(code, url, study, f"w{i}") for i in range(3)]
    assert sorted(int(word) for taker in takers for word in output(taker)) == list(range(12))


def test_a_reader_that_remembers_the_last_event_misses_none(store, url):
    study = with_trials(store, 60)
    claimers = [process(CLAIM_ALL, url, study, f"w{i}") for i in range(3)]
    seen, after, deadline = [], 0, time.monotonic() + 240
    while len(seen) < 121 and time.monotonic() < deadline:
        for event in store.events(after, study):
            seen.append(event.id)
            after = event.id
    for claimer in claimers:
        output(claimer)
    assert seen == [event.id for event in store.events(0, study)]
