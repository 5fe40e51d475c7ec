"""What happens to the store on a bad day: a sentence with the next step, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from servelab.spec.errors import StoreError
from servelab.spec.trial import Timings, Trial
from servelab.store import database
from servelab.store.store import Store
from tests.lab.studies import servelab, small


def complaint(path: Path | str) -> str:
    with pytest.raises(StoreError) as caught:
        Store(str(path)).list_studies()
    assert caught.value.remedy
    return caught.value.message


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "x.db"
    path.write_text("this is a diary, not a database\n" * 100)
    assert "is not a database" in complaint(path)
    assert path.read_text().startswith("this is a diary")


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "x.db"
    Store(str(path))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE servelab_schema SET version = 99")
    assert "is of schema 99, this servelab knows 1" in complaint(path)


def test_opening_twice_migrates_once(tmp_path):
    path = tmp_path / "x.db"
    first = Store(str(path)).create_study(small())
    assert Store(str(path)).get_study(first.id) == first


def test_a_locked_store(tmp_path, monkeypatch):
    path = tmp_path / "x.db"
    Store(str(path))
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = Store(str(path))
    with pytest.raises(StoreError, match="is locked by another process"):
        store.create_study(small())
    other.execute("ROLLBACK")
    assert store.create_study(small()).state == "waiting"


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot make the directory" in complaint(tmp_path / "file" / "x.db")


@pytest.fixture
def little_disk(tmp_path):
    """A file system of 400 kB; root only."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not allow mounts")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(directory: Path) -> Path:
    """Fill a file system to the last block."""
    ballast = directory / "ballast"
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, b"x" * 4096)
    os.close(file)
    return ballast


def write_much(store: Store, study_id: str) -> None:
    for i in range(1000):
        store.append_event(study_id, None, "note", {"text": "x" * 1000, "i": i})


def test_a_full_disk_loses_nothing(little_disk):
    store = Store(str(little_disk / "x.db"))
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={}, kind="baseline")])
    ballast = fill(little_disk)
    with pytest.raises(StoreError, match="is full"):
        write_much(store, record.id)
    ballast.unlink()
    assert [t.number for t in store.trials(record.id)] == [0]
    assert store.claim(record.id, "w") is not None


def test_a_full_disk_under_the_command_line(little_disk, home, tmp_path, monkeypatch):
    study = tmp_path / "s.yaml"
    study.write_text(
        "name: s\nmodel: smollm2-135m\nengine: llamacpp\nworkload: {prompt: 8, output: 4}\n"
        "load: {concurrency: 1, requests: 12}\n"
    )
    fill(little_disk)
    done = servelab("run", str(study), "--store", str(little_disk / "x.db"), check=False)
    assert done.returncode == 4
    assert "full" in done.stderr or "cannot be" in done.stderr


def test_a_directory_for_reading_only(home, tmp_path):
    if os.getuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "ro"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(place)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this machine does not allow mounts")
    try:
        done = servelab("status", "--store", str(place / "x.db"), check=False)
        assert done.returncode == 4
        assert "cannot be opened" in done.stderr or "cannot be written" in done.stderr
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_worker_that_lost_its_claim_can_write_nothing(tmp_path):
    store = Store(str(tmp_path / "x.db"))
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={})])
    assert store.claim(record.id, "slow") is not None
    store.release_dead(record.id, lambda worker: worker == "slow")
    again = store.claim(record.id, "quick")
    assert again is not None
    assert again.attempts == 2
    assert not store.heartbeat(record.id, 0, "slow")
    with pytest.raises(StoreError, match="no longer this worker's"):
        store.finish_trial(record.id, 0, "slow", state="complete", timings=Timings(), outcome={})
    store.finish_trial(record.id, 0, "quick", state="complete", timings=Timings(), outcome={})


def test_many_processes_claim_each_trial_once(tmp_path):
    path = tmp_path / "x.db"
    store = Store(str(path))
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={"n": i}) for i in range(60)])
    code = (
        "import sys; from servelab.store.store import Store; s = Store(sys.argv[1])\n"
        "while (t := s.claim(sys.argv[2], sys.argv[3])) is not None: print(t.number)"
    )
    claimers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), record.id, f"w{i}"], stdout=subprocess.PIPE, text=True)
        for i in range(3)
    ]
    claimed = [int(line) for claimer in claimers for line in claimer.communicate(timeout=240)[0].split()]
    assert sorted(claimed) == list(range(60))


def test_devices_are_leased_all_or_none(tmp_path):
    store = Store(str(tmp_path / "x.db"))
    assert store.acquire_devices("s", 0, "a", ("0", "1", "2"), 2) == ("0", "1")
    assert store.acquire_devices("s", 1, "b", ("0", "1", "2"), 2) is None
    assert store.acquire_devices("s", 1, "b", ("0", "1", "2"), 1) == ("2",)
    store.release_devices("s", 0, "b")
    assert store.acquire_devices("s", 2, "b", ("0", "1", "2"), 2) is None
    store.release_devices("s", 0, "a")
    assert store.acquire_devices("s", 2, "b", ("0", "1", "2"), 2) == ("0", "1")


def test_a_lease_from_before_a_reboot_has_expired(tmp_path):
    path = tmp_path / "x.db"
    store = Store(str(path))
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={})])
    assert store.claim(record.id, "a") is not None
    assert store.claim(record.id, "b") is None
    for until in (1.0, 1e12):  # long past, and further ahead than any lease
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE trials SET lease_until = ?", (until,))
        assert store.claim(record.id, "b") is not None
