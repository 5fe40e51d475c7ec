"""Transactions of PostgreSQL take their locks in one order, and lost connections come back."""

from __future__ import annotations

import threading

import psycopg
import pytest

from servelab.spec.errors import NotFoundError
from servelab.spec.trial import Trial
from servelab.store.store import Store
from tests.lab.studies import small


@pytest.fixture
def database(server: str) -> str:
    name = f"locks_{threading.get_native_id()}"
    base, _, _ = server.rpartition("/")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    return f"{base}/{name}"


def until_somebody_waits(connection: psycopg.Connection) -> None:
    """Return once a transaction of this database waits for a lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while connection.execute(waiting).fetchone() == (0,):
        connection.execute("SELECT pg_sleep(0.05)")


def test_giving_back_what_the_dead_held_does_not_deadlock_with_a_finish(database):
    store = Store(database)
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={})] * 2)
    for worker in ("dead", "slow"):
        assert store.claim(record.id, worker) is not None
    with psycopg.connect(database) as finishing, psycopg.connect(database, autocommit=True) as watching:
        # The two locks of finish_trial, with the other transaction in between.
        finishing.execute("SELECT 1 FROM trials WHERE number = 1 FOR UPDATE")
        releasing = threading.Thread(target=store.release_dead, args=(record.id, lambda worker: True))
        releasing.start()
        until_somebody_waits(watching)
        finishing.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        finishing.commit()
    releasing.join(120)
    assert [t.state for t in store.trials(record.id)] == ["waiting", "waiting"]
    assert [e.kind for e in store.events(0, record.id)].count("released") == 2


def test_the_right_to_suggest_that_changed_hands_is_not_taken_from_the_living(database):
    store = Store(database)
    record = store.create_study(small())
    with psycopg.connect(database) as other, psycopg.connect(database, autocommit=True) as watching:
        watching.execute("UPDATE studies SET suggester = 'dead', suggester_until = 0")
        # The lease of the dead runs out, and a living worker takes over while the dead are being cleared away.
        other.execute("UPDATE studies SET suggester = 'living', suggester_until = 1e12")
        releasing = threading.Thread(target=store.release_dead, args=(record.id, lambda worker: worker == "dead"))
        releasing.start()
        until_somebody_waits(watching)
        other.commit()
        releasing.join(120)
        assert watching.execute("SELECT suggester FROM studies").fetchone() == ("living",)


def test_a_lost_connection_comes_back(database):
    store = Store(database)
    record = store.create_study(small())
    with psycopg.connect(database, autocommit=True) as other:
        ended = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchone()
    assert ended is not None
    assert ended[0] >= 1
    assert store.study_state(record.id) == "waiting"


def test_a_study_that_is_not_there(store):
    for ask in (
        lambda: store.study_state("none"),
        lambda: store.set_study_state("none", "paused", ""),
        lambda: store.advance_study("none", "complete", ""),
        lambda: store.add_trials("none", [Trial(number=0, parameters={})]),
    ):
        with pytest.raises(NotFoundError, match="there is no study 'none'"):
            ask()
    assert store.events(0) == []
