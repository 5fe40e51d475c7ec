"""SQLite's file when it is damaged, locked, or not ours to write."""

from __future__ import annotations

import os
import pwd
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from servelab.spec.errors import StoreError
from servelab.spec.trial import Trial
from servelab.store import database
from servelab.store.store import Store, open_store
from tests.lab.studies import small

OPEN = """
import os, sys
user = sys.argv[2]
from servelab.spec.errors import StoreError
from servelab.store.store import Store
import servelab.store.migrate  # while it may be read
if user:
    import pwd
    os.setgroups([])
    os.setgid(pwd.getpwnam(user).pw_gid)
    os.setuid(pwd.getpwnam(user).pw_uid)
try:
    store = Store(sys.argv[1])
    store.append_event("s", None, "note", {})
except StoreError as error:
    print(error)
"""


def as_somebody_else(path: Path) -> str:
    """What a user without privileges is told who opens the store and writes an event."""
    user = "nobody" if os.getuid() == 0 else ""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(path), user], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that everybody may enter (pytest's own are private)."""
    with tempfile.TemporaryDirectory(prefix="servelab-test-") as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


def filled(path: Path) -> str:
    """A store with a study of some size; its id."""
    store = Store(str(path))
    record = store.create_study(small())
    store.add_trials(record.id, [Trial(number=0, parameters={"n": i}) for i in range(300)])
    return record.id


def test_a_file_that_is_not_ours_to_write(open_place):
    if os.getuid() == 0:
        pwd.getpwnam("nobody")
    path = open_place / "x.db"
    filled(path)
    for file in open_place.iterdir():
        file.chmod(0o444)
    if os.getuid() != 0:
        open_place.chmod(0o555)
    told = as_somebody_else(path)
    assert str(path) in told
    assert "cannot be written" in told or "cannot be opened" in told
    assert "--store" in told


def test_a_directory_that_is_not_ours_to_write(open_place):
    if os.getuid() != 0:
        open_place.chmod(0o555)
    told = as_somebody_else(open_place / "x.db")
    assert "cannot be opened" in told
    assert "permissions" in told
    told = as_somebody_else(open_place / "deeper" / "x.db")
    assert "cannot make the directory" in told
    assert "SERVELAB_STORE" in told


def test_a_damaged_file_is_told(tmp_path):
    path = tmp_path / "x.db"
    study = filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    with pytest.raises(StoreError, match="is damaged") as caught:
        Store(str(path)).trials(study)
    assert "backup" in caught.value.remedy


def test_a_store_that_another_process_holds(tmp_path, monkeypatch):
    path = tmp_path / "x.db"
    study = filled(path)
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.3)
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    store = Store(str(path))
    assert len(store.trials(study)) == 300, "readers do not mind"
    with pytest.raises(StoreError, match="is locked by another process") as caught:
        store.claim(study, "w")
    assert f"fuser {path}" in caught.value.remedy
    holder.communicate("")
    assert store.claim(study, "w") is not None


def test_a_killed_writer_leaves_a_whole_store(tmp_path):
    path = tmp_path / "x.db"
    study = filled(path)
    code = (
        "import sys; from servelab.store.store import Store; from servelab.spec.trial import Trial\n"
        "s = Store(sys.argv[1])\n"
        "while True: s.add_trials(sys.argv[2], [Trial(number=0, parameters={})] * 3); print('x', flush=True)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path), study], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(20):
        writer.stdout.readline()
    writer.kill()
    writer.communicate()
    store = Store(str(path))
    found = store.trials(study)
    assert len(found) >= 360
    assert len(found) % 3 == 0, "three at a time, or none"
    assert len([event for event in store.events(0, limit=100_000) if event.kind == "added"]) == len(found)


def test_the_store_of_a_user_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.delenv("SERVELAB_STORE", raising=False)
    monkeypatch.setenv("SERVELAB_HOME", str(tmp_path / "home"))
    assert open_store().location == str(tmp_path / "home" / "servelab.db")
    monkeypatch.setenv("SERVELAB_STORE", f"sqlite:///{tmp_path}/other.db")
    assert open_store().location == f"{tmp_path}/other.db"
    assert open_store(str(tmp_path / "third.db")).location == str(tmp_path / "third.db")
