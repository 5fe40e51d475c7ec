"""What may go wrong does: servers and studies are killed, clicks come twice, the store is away for a while."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from servelab.store.store import Store
from tests.lab.test_background import processes
from tests.postgres import postgresql
from tests.web.finished import HELD, create, finish
from tests.web.seen import note, noted
from tests.web.served import Served

RUNS = """
name: runs
model: {id: meta-llama/Llama-3.1-8B-Instruct}
engine:
  name: simulated
  profile: h100-llama-3.1-8b
  arguments: {max_model_len: 1024, time_scale: 0.1, startup_seconds: 0}
workload: {prompt: 32, output: 8}
load: {concurrency: 4, requests: 12, warmup: 1}
space: {parameters: {max_num_seqs: {low: 1, high: 64}}}
baseline: {max_num_seqs: 8}
objectives: [maximize output_throughput]
budget: {trials: 6, screening: 0, verification: {top: 0}}
"""
# So that it is still at work when something is done to it, however quick the machine is.
LONG = RUNS.replace("startup_seconds: 0", "startup_seconds: 4")


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Served]:
    """A server of the test's own; what it started ends with it."""
    found = Served(tmp_path / "home").start()
    yield found
    found.stop()
    for row in found.store.list_studies():
        for process in processes(row.id):
            process.kill()


def until(true: Callable[[], object], seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


def events(store: Store, study: str) -> Counter[str]:
    return Counter(event.kind for event in store.events(0, study))


def measured_once(store: Store, study: str) -> None:
    measured = Counter(
        (e.trial, e.data["phase"], e.data["point"], e.data["repeat"])
        for e in store.events(0, study, 10_000)
        if e.kind == "measured"
    )
    assert measured
    assert set(measured.values()) == {1}
    assert len(measured) == sum(len(trial.measurements) for trial in store.trials(study, with_reports=True))


def row(page: Page, study: str):
    return page.locator("tr", has_text=study)


def test_the_server_is_killed_while_a_study_runs_and_a_browser_watches(mine: Served, page: Page) -> None:
    study = create(mine, LONG.replace("trials: 6", "trials: 10"), start=False)
    page.goto(mine.url)
    expect(row(page, study).locator(".state")).to_have_text("waiting")
    assert mine.ask(f"/api/v1/studies/{study}/resume", method="POST").status == 200
    expect(row(page, study).locator(".state")).to_have_text("running", timeout=120_000)
    until(lambda: events(mine.store, study)["finished"] >= 1)
    (worker,) = processes(study)
    mine.kill()
    done = events(mine.store, study)["finished"]
    until(lambda: events(mine.store, study)["finished"] > done)  # it goes on without the server
    assert worker.is_running()
    mine.start()
    assert [process.pid for process in processes(study)] == [worker.pid], "the one that runs is let run"
    # The browser comes back by itself, and shows what has happened meanwhile and from then on.
    expect(row(page, study).locator(".state")).to_have_text("complete", timeout=400_000)
    assert events(mine.store, study)["restarted"] == 0
    measured_once(mine.store, study)


def test_a_study_is_killed_under_a_running_server(mine: Served, page: Page) -> None:
    study = create(mine, LONG)
    page.goto(mine.url)
    until(lambda: events(mine.store, study)["finished"] >= 2)
    (worker,) = processes(study)
    worker.kill()
    until(lambda: events(mine.store, study)["restarted"] == 1)
    finish(mine, study)
    expect(row(page, study).locator(".state")).to_have_text("complete", timeout=120_000)
    measured_once(mine.store, study)


def test_server_and_study_are_killed_together(mine: Served) -> None:
    study = create(mine, LONG)
    until(lambda: events(mine.store, study)["finished"] >= 2)
    (worker,) = processes(study)
    mine.kill()
    worker.kill()
    mine.start()
    assert finish(mine, study)[study]["state"] == "complete"
    measured_once(mine.store, study)


def test_two_servers_on_one_store_and_many_clicks(mine: Served) -> None:
    other = Served(mine.home).start()
    try:
        study = create(mine, LONG, start=False)
        path = f"/api/v1/studies/{study}/resume"
        clicks = [threading.Thread(target=server.ask, args=(path, None, "POST")) for server in (mine, other) * 4]
        for click in clicks:
            click.start()
        for click in clicks:
            click.join()
        until(lambda: events(mine.store, study)["finished"] >= 1)
        (worker,) = processes(study)
        worker.kill()
        until(lambda: events(mine.store, study)["restarted"] == 1)
        until(lambda: processes(study))  # it is noted first
        assert len(processes(study)) == 1
        assert finish(other, study)[study]["state"] == "complete"
        assert events(mine.store, study)["restarted"] == 1
        measured_once(mine.store, study)
    finally:
        other.stop()


def test_the_store_is_locked_for_a_while(mine: Served, page: Page) -> None:
    study = create(mine, HELD, start=False)
    page.goto(mine.url)
    expect(row(page, study)).to_be_visible()
    with sqlite3.connect(mine.home / "servelab.db", isolation_level=None) as locked:
        locked.execute("BEGIN IMMEDIATE")
        assert mine.ask(f"/api/v1/studies/{study}").status == 200, "it can be read meanwhile"
        answer = mine.ask(f"/api/v1/studies/{study}/cancel", method="POST")
        assert answer.status == 503
        assert "locked" in answer.data["message"]
        assert answer.data["remedy"]
        locked.execute("ROLLBACK")
    locked.close()
    assert mine.ask(f"/api/v1/studies/{study}/cancel", method="POST").status == 200
    expect(row(page, study).locator(".state")).to_have_text("cancelled", timeout=120_000)


def test_on_postgresql_which_goes_away_and_comes_back(tmp_path: Path, page: Page) -> None:
    with postgresql() as url:
        served = Served(tmp_path / "home", ("--store", url)).start()
        try:
            study = create(served, RUNS)
            page.goto(served.url)
            assert finish(served, study)[study]["state"] == "complete"
            expect(row(page, study).locator(".state")).to_have_text("complete", timeout=120_000)
            measured_once(Store(url), study)
            with psycopg.connect(url, autocommit=True) as connection:  # every connection breaks
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
            other = create(served, HELD, start=False)
            expect(row(page, other)).to_be_visible(timeout=120_000)
        finally:
            served.stop()


def test_several_browsers_see_the_same_without_reloading(mine: Served, browser: Browser) -> None:
    study = create(mine, HELD, start=False)
    contexts = [browser.new_context() for _ in range(4)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.goto(mine.url)
        expect(row(page, study).locator(".state")).to_have_text("waiting")
        note(page, "tr", "cancelled by")
    assert mine.ask(f"/api/v1/studies/{study}/cancel", method="POST").status == 200
    for page in pages:
        noted(page)
    for context in contexts:
        context.close()
