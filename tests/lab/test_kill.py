"""Kill -9 is a normal event."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from servelab.platforms.marked import marked_processes
from servelab.store.store import Store
from tests.lab.studies import let_run, servelab, small, start

KILLS = 20


def wait_until(true: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def engines_of(study_id: str) -> list[int]:
    return [found.pid for found in marked_processes() if found.mark.study == study_id]


@pytest.mark.timeout(1800)
def test_a_study_killed_twenty_times_ends_as_an_undisturbed_one(store: Store, tmp_path):
    undisturbed = store.create_study(small())
    servelab("resume", undisturbed.id)

    killed = store.create_study(small())
    rng = random.Random(1)
    kills = 0
    while store.study_state(killed.id) not in ("complete", "failed"):
        process = start("resume", killed.id, log=tmp_path / "resume.log")
        if kills < KILLS:
            # Anywhere: while Python starts, the engine starts, the load runs, the report is written. At the end of a
            # trial at the latest, or a quick machine would be through with all of them.
            let_run(store, killed.id, rng.uniform(0.3, 3.5))
        if kills < KILLS and process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
    servelab("resume", killed.id)

    expected, found = store.trials(undisturbed.id), store.trials(killed.id, with_reports=True)
    assert [t.parameters for t in found] == [t.parameters for t in expected]
    assert len(found) == 12
    assert all(t.state == "complete" for t in found), [t.failure for t in found if t.failure]
    measured = Counter(
        (e.trial, e.data["phase"], e.data["point"], e.data["repeat"])
        for e in store.events(0, killed.id)
        if e.kind == "measured"
    )
    assert set(measured.values()) == {1}
    assert len(measured) == sum(len(t.measurements) for t in found) == 12
    assert engines_of(killed.id) == []
    assert kills >= 10, f"only {kills} kills found it at work"


def left_running(store: Store, tmp_path: Path) -> tuple[str, int]:
    """A study that was killed, and the process id of the engine that it left."""
    record = store.create_study(small(load="{concurrency: 1, requests: 100000}"))
    process = start("resume", record.id, log=tmp_path / "run.log")
    wait_until(lambda: engines_of(record.id))
    time.sleep(0.5)
    process.kill()
    process.wait()
    (engine,) = [pid for pid in engines_of(record.id) if "llamacpp" in " ".join(psutil.Process(pid).cmdline())]
    return record.id, engine


def has_ended(pid: int) -> bool:
    # An orphan that ended stays a zombie until the machine's init looks after it.
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_engine_of_a_killed_study_is_found_and_ended(store: Store, tmp_path):
    study_id, engine = left_running(store, tmp_path)
    done = servelab("cleanup")
    assert f"of study {study_id}" in done.stdout
    assert has_ended(engine)
    assert "nothing was left running" in servelab("cleanup").stdout


def test_a_killed_study_that_is_deleted_leaves_no_engine(store: Store, tmp_path):
    study_id, engine = left_running(store, tmp_path)
    servelab("cancel", study_id)
    servelab("delete", study_id, "--yes")
    assert has_ended(engine)


def test_an_engine_killed_in_the_middle_is_an_observation(store: Store, tmp_path):
    # The load lasts for seconds, however quick the machine is.
    load = "{rate: 5, arrival: constant, requests: 20}"
    record = store.create_study(small(load=load, budget="{trials: 2, screening: 0, verification: {top: 0}}"))
    process = start("resume", record.id, log=tmp_path / "run.log")

    def second() -> list[int]:
        return [f.pid for f in marked_processes() if f.mark.study == record.id and f.mark.trial == 1]

    wait_until(second)
    time.sleep(0.2)
    psutil.Process(second()[0]).kill()
    assert process.wait(120) == 0
    baseline, second = store.trials(record.id)
    assert baseline.state == "complete"
    assert second.state == "failed"
    assert second.failure is not None
    assert second.failure.kind == "out_of_memory"
    assert "SIGKILL" in second.failure.message


def test_the_load_generator_of_a_killed_study_ends_by_itself(store: Store, tmp_path):
    record = store.create_study(small(load="{concurrency: 1, requests: 100000}"))
    process = start("resume", record.id, log=tmp_path / "run.log")
    generators: list[int] = []
    deadline = time.monotonic() + 120
    while not generators and time.monotonic() < deadline:
        time.sleep(0.1)
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just ended
                generators += [child.pid] * ("servelab.harnesses.builtin" in child.cmdline())
    process.kill()
    process.wait()
    assert generators
    wait_until(lambda: all(map(has_ended, generators)))
    servelab("cleanup")
