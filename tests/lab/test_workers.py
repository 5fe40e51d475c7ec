"""Several workers share a study on PostgreSQL."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from servelab.lab.suggest import candidates
from servelab.platforms.marked import marked_processes
from servelab.store.store import open_store
from tests.lab.studies import servelab, small, start
from tests.postgres import postgresql

SIMULATED = "{name: simulated, arguments: {max_model_len: 1024, time_scale: 0.2, startup_seconds: 0}}"


@pytest.fixture(scope="module")
def database():
    with postgresql() as url:
        yield url


def study():
    return small(
        engine=SIMULATED,
        space="{parameters: {max_num_seqs: {low: 1, high: 64}}}",
        baseline="{max_num_seqs: 8}",
        load="{concurrency: 2, requests: 40}",
        budget="{trials: 12, screening: 0, verification: {top: 1, rounds: 2}}",
    )


def test_two_workers_one_killed_do_no_trial_twice(home, database, tmp_path):
    store = open_store(database)
    record = store.create_study(study())
    workers = [start("worker", record.id, "--store", database, log=tmp_path / f"{n}.log") for n in "ab"]
    deadline = time.monotonic() + 120
    while sum(t.state == "complete" for t in store.trials(record.id)) < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers[0].kill()
    workers[0].wait()
    # The killed worker's trial is taken over at once by a worker that sees it is dead, as one that starts does.
    helper = start("worker", record.id, "--store", database, log=tmp_path / "c.log")
    assert workers[1].wait(180) == 0, (tmp_path / "b.log").read_text()
    assert helper.wait(180) == 0, (tmp_path / "c.log").read_text()

    trials = store.trials(record.id, with_reports=True)
    assert store.study_state(record.id) == "complete"
    # A busy machine may have been too slow for every measurement, so that none is worth another.
    verified = 4 if candidates(record.study, trials[:12]) else 0
    assert [t.kind for t in trials] == ["baseline"] + ["search"] * 11 + ["verification"] * verified
    assert all(t.state == "complete" for t in trials)
    assert len({tuple(t.parameters.items()) for t in trials[:12]}) == 12
    events = store.events(0, record.id, 10_000)
    measured = Counter(e.trial for e in events if e.kind == "measured")
    assert set(measured.values()) == {1}
    claims = {e.data["worker"] for e in events if e.kind == "claimed"}
    assert len(claims) >= 2, "both worked"
    assert not [found for found in marked_processes() if found.mark.study == record.id]


def test_a_password_is_never_shown(home):
    done = servelab("status", "--store", "postgresql://lab:s3cret@127.0.0.1:9/x", check=False)
    assert done.returncode == 4
    assert "cannot be reached" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout
