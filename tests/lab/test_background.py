"""Studies in processes of their own: one at a time, taken up again when it dies, and not for ever."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import psutil
import pytest

from servelab.lab import background
from servelab.lab.background import RESTARTS, log_of, report_directory, start_in_background, take_up
from servelab.lab.control import pause_study
from servelab.lab.identity import is_dead, worker_name
from servelab.lab.lock import holding
from servelab.platforms.proc import stat
from servelab.spec.errors import ServelabError
from servelab.store.store import Store
from tests.lab.studies import servelab, small


def study(trials: int = 4, startup_seconds: int = 0):
    arguments = f"{{max_model_len: 1024, time_scale: 0.1, startup_seconds: {startup_seconds}}}"
    return small(
        engine=f"{{name: simulated, arguments: {arguments}}}",
        space="{parameters: {max_num_seqs: {low: 1, high: 64}}}",
        baseline="{max_num_seqs: 8}",
        load="{concurrency: 2, requests: 20}",
        budget=f"{{trials: {trials}, screening: 0, verification: {{top: 0}}}}",
    )


def processes(study_id: str) -> list[psutil.Process]:
    """The processes that run a study in the background; a child that is about to become another program is none."""
    found = {}
    for process in psutil.process_iter(["cmdline", "status", "ppid"]):
        words = process.info["cmdline"] or []
        if "servelab.lab.background" in words and study_id in words and process.info["status"] != "zombie":
            found[process.pid] = process
    return [process for process in found.values() if process.info["ppid"] not in found]


def until(true: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def _none_left(store: Store) -> Iterator[None]:
    yield
    for row in store.list_studies():
        for process in processes(row.id):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
                process.kill()
    servelab("cleanup")


def events(store: Store, study_id: str) -> Counter[str]:
    return Counter(event.kind for event in store.events(0, study_id))


def measured_once(store: Store, study_id: str, trials: int) -> None:
    measured = Counter(e.trial for e in store.events(0, study_id) if e.kind == "measured")
    assert measured == dict.fromkeys(range(trials), 1)


def test_many_clicks_on_start_make_one_process(store: Store) -> None:
    record = store.create_study(study())
    threads = [threading.Thread(target=start_in_background, args=(store, record.id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    most = 0
    while store.study_state(record.id) != "complete":
        most = max(most, len(processes(record.id)))
        assert most <= 1
        time.sleep(0.02)
    assert most == 1
    for thread in threads:
        thread.join()
    measured_once(store, record.id, 4)
    until(lambda: not processes(record.id))
    assert (report_directory(record.id) / "report.md").exists() or any(report_directory(record.id).iterdir())
    with pytest.raises(ServelabError, match="has ended"):
        start_in_background(store, record.id)
    take_up(store)
    assert not processes(record.id)


def test_a_killed_study_is_taken_up_and_nothing_measured_twice(store: Store) -> None:
    record = store.create_study(study(trials=6, startup_seconds=1))  # or it might end before it is killed thrice
    start_in_background(store, record.id)
    for kills in range(1, 4):
        until(lambda kills=kills: events(store, record.id)["finished"] >= kills)
        (process,) = processes(record.id)
        process.kill()
        process.wait()
        until(lambda kills=kills: take_up(store) or events(store, record.id)["restarted"] == kills)
        until(lambda: processes(record.id))  # what has just been started has no command line for a moment
        for _ in range(3):
            take_up(store)  # as two servers would, and again
            assert len(processes(record.id)) == 1
    until(lambda: store.study_state(record.id) == "complete")
    assert events(store, record.id)["restarted"] == 3
    assert [trial.state for trial in store.trials(record.id)] == ["complete"] * 6
    measured_once(store, record.id, 6)


def test_a_study_that_dies_at_once_is_not_started_for_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    dies = tmp_path / "dies"
    dies.write_text("#!/bin/sh\necho it dies\nkill -9 $$\n")
    dies.chmod(0o700)
    record = store.create_study(study())
    with monkeypatch.context() as patched:
        patched.setattr(background.sys, "executable", str(dies))
        start_in_background(store, record.id)
        until(lambda: take_up(store) or store.study_state(record.id) == "paused")
    assert events(store, record.id)["restarted"] == RESTARTS
    message = store.get_study(record.id).message
    assert "ended 4 times" in message
    assert str(log_of(record.id)) in message
    assert log_of(record.id).read_text() == "it dies\n" * (RESTARTS + 1)
    take_up(store)
    assert store.study_state(record.id) == "paused"
    start_in_background(store, record.id)
    until(lambda: store.study_state(record.id) == "complete")


def test_a_study_that_was_never_started_is_left_alone(store: Store) -> None:
    record = store.create_study(study())
    take_up(store)
    assert not log_of(record.id).exists()
    assert store.study_state(record.id) == "waiting"


def test_a_paused_study_goes_on_though_its_trial_still_runs(store: Store) -> None:
    record = store.create_study(study(trials=2, startup_seconds=5))
    start_in_background(store, record.id)
    until(lambda: events(store, record.id)["starting"])
    (process,) = processes(record.id)
    process.suspend()  # so that it is at work for as long as we look
    pause_study(store, record.id)
    again = start_in_background(store, record.id)
    assert again.state == "waiting"
    assert "running trials" in again.message
    assert len(processes(record.id)) == 1
    process.resume()

    def looked() -> bool:
        take_up(store)
        return store.study_state(record.id) == "complete"

    until(looked)
    measured_once(store, record.id, 2)


def test_a_study_that_is_told_to_end_is_left_paused(store: Store) -> None:
    record = store.create_study(study(startup_seconds=5))
    start_in_background(store, record.id)
    until(lambda: events(store, record.id)["starting"])
    (process,) = processes(record.id)
    process.send_signal(signal.SIGTERM)
    until(lambda: not processes(record.id))
    assert store.study_state(record.id) == "paused"
    take_up(store)
    assert not processes(record.id)


def test_the_command_line_does_not_run_what_runs_already(store: Store) -> None:
    record = store.create_study(study())
    with holding(record.id) as lock:
        assert lock
        done = servelab("resume", record.id, check=False)
        assert done.returncode == 1
        assert "being run by another process" in done.stderr
        start_in_background(store, record.id)
        assert not processes(record.id)
    servelab("resume", record.id)
    assert store.study_state(record.id) == "complete"


def test_a_zombie_is_dead() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    try:
        mine = worker_name()
        until(lambda: psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
        machine, _, _, tail = mine.rsplit("/", 3)
        assert is_dead(f"{machine}/{child}/{stat(child)[19]}/{tail}")
        assert not is_dead(mine)
    finally:
        os.waitpid(child, 0)


def test_the_store_is_not_an_argument(store: Store) -> None:
    record = store.create_study(study())
    start_in_background(store, record.id)
    until(lambda: processes(record.id))
    assert "servelab.db" not in " ".join(processes(record.id)[0].cmdline())
