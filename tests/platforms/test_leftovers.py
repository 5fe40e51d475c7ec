"""What a crash of servelab leaves running is found by its mark, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from servelab.platforms import marked
from servelab.platforms.base import Leftover
from servelab.platforms.marked import is_alive, kill, marked_processes
from servelab.platforms.process import ProcessPlatform
from servelab.spec.deployment import Mark

OWNER = """
import asyncio, sys
from pathlib import Path
from servelab.platforms.process import ProcessPlatform
from servelab.spec.deployment import Launch, Mark

async def main():
    platform = ProcessPlatform({})
    command = (sys.executable, "-c", "import time; time.sleep(1200)")
    launch = Launch(command=command, address=platform.address())
    running = await platform.start(launch, Mark(study=sys.argv[1], trial=3, attempt=2), Path(sys.argv[2]), {})
    print(running.pid, flush=True)
    await asyncio.sleep(1200)

asyncio.run(main())
"""


@contextmanager
def owner(study: str, log: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A servelab that has started an engine, and the engine's process id; both are ended."""
    made = subprocess.Popen([sys.executable, "-c", OWNER, study, str(log)], stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    engine = int(made.stdout.readline())
    try:
        yield made, engine
    finally:
        for pid in (made.pid, engine):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        made.communicate()


def gone(pid: int) -> bool:
    """Whether a process ends (it may stay as a zombie where nobody reaps it)."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_only_the_dead_owners_engine_of_this_study_is_left_over(tmp_path):
    ours, other = f"crash-{os.getpid()}", f"decoy-{os.getpid()}"
    platform = ProcessPlatform({})
    with (
        owner(ours, tmp_path / "a") as (dead, engine),
        owner(other, tmp_path / "b") as (dead_decoy, decoy),
        owner(ours, tmp_path / "c") as (_, living),
    ):
        assert platform.leftovers([ours, other]) == []
        for one in (dead, dead_decoy):
            os.kill(one.pid, signal.SIGKILL)
            one.wait()
        found = platform.leftovers([ours])
        assert [left.mark for left in found] == [Mark(study=ours, trial=3, attempt=2)]
        assert f"process {engine} " in found[0].what
        assert platform.leftovers([]) == []
        assert len(platform.leftovers([ours, other])) == 2
        platform.remove(found[0])
        platform.remove(found[0])
        assert gone(engine)
        assert platform.leftovers([ours]) == []
        assert psutil.pid_exists(decoy)
        assert psutil.pid_exists(living)


@pytest.mark.parametrize("mark", [{"SERVELAB_TRIAL": "1"}, {"SERVELAB_OWNER": "1/1"}])
def test_what_no_platform_started_is_left_alone(mark):
    study = f"stranger-{os.getpid()}"
    with subprocess.Popen(["sleep", "600"], env={**os.environ, "SERVELAB_STUDY": study, **mark}) as stranger:
        try:
            assert ProcessPlatform({}).leftovers([study]) == []
        finally:
            stranger.kill()


def test_an_owner_that_was_not_reaped_is_dead(tmp_path):
    study = f"zombie-{os.getpid()}"
    with owner(study, tmp_path / "log") as (dead, engine):
        os.kill(dead.pid, signal.SIGKILL)
        deadline = time.monotonic() + 120
        while psutil.Process(dead.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.02)
        found = ProcessPlatform({}).leftovers([study])
        assert len(found) == 1
        ProcessPlatform({}).remove(found[0])
        assert gone(engine)


def test_a_process_that_nobody_reaps_is_ended_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(marked, "KILL_WAIT", 250.0)
    study = f"unreaped-{os.getpid()}"
    with owner(study, tmp_path / "log") as (living, engine):
        found = next(found for found in marked_processes() if found.pid == engine)
        os.kill(living.pid, signal.SIGSTOP)
        began = time.monotonic()
        kill(found)
        assert time.monotonic() - began < 200
        assert psutil.Process(engine).status() == psutil.STATUS_ZOMBIE


def test_an_id_that_now_belongs_to_another_process_is_left_alone(tmp_path):
    study = f"reused-{os.getpid()}"
    with owner(study, tmp_path / "log") as (_, engine):
        stale = Leftover(mark=Mark(study=study, trial=3), what="", id=f"{engine}/1")
        ProcessPlatform({}).remove(stale)
        assert psutil.pid_exists(engine)
        assert not is_alive(f"{engine}/1")


def test_nobody_is_alive_under_a_name_that_is_none():
    for name in ("", "x/y", "0/", "-1/3", "999999999/5", "1"):
        assert not is_alive(name)
