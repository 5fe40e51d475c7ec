"""Engines as processes: started, watched, ended, and found again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from servelab.platforms.base import ExitedError
from servelab.platforms.endpoint import EndpointPlatform
from servelab.platforms.logfile import cap, tail
from servelab.platforms.marked import marked_processes
from servelab.platforms.proc import group_runs
from servelab.platforms.process import ProcessPlatform
from servelab.spec.deployment import Launch, Mark
from servelab.spec.errors import DeployError, DocumentError, MachineError
from tests.platforms.machine import open_files

SERVE = (
    "import http.server as h, sys\n"
    "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()"
)


def mark(trial: int = 0) -> Mark:
    return Mark(study=f"test-{os.getpid()}", trial=trial)


async def started(tmp_path: Path, code: str, **launch):
    platform = ProcessPlatform({})
    address = platform.address()
    made = Launch(command=(sys.executable, "-c", code, str(address.port)), address=address, ready_path="/", **launch)
    return await platform.start(made, mark(), tmp_path / "engine.log", {})


async def test_an_engine_becomes_ready_and_is_ended(tmp_path):
    running = await started(tmp_path, SERVE)
    await running.wait_ready(200)
    assert psutil.pid_exists(running.pid)
    await running.stop(60)
    await running.stop(60)
    assert not psutil.pid_exists(running.pid)


async def test_an_engine_that_dies_at_start_says_why(tmp_path):
    running = await started(tmp_path, "import sys; print('no such card'); sys.exit(3)")
    with pytest.raises(ExitedError) as caught:
        await running.wait_ready(200)
    assert caught.value.exit.code == 3
    assert "no such card" in caught.value.exit.log_tail
    await running.stop(1)


async def test_an_engine_that_never_is_ready(tmp_path):
    running = await started(tmp_path, "import time; time.sleep(600)")
    with pytest.raises(TimeoutError):
        await running.wait_ready(0.5)
    await running.stop(1)


async def test_an_engine_that_ignores_the_request_to_end(tmp_path):
    code = "import signal, time; signal.signal(15, lambda *_: None); print('deaf', flush=True); time.sleep(600)"
    running = await started(tmp_path, code)
    while "deaf" not in running.log_tail():
        await asyncio.sleep(0.05)
    began = time.monotonic()
    await running.stop(0.5)
    assert time.monotonic() - began < 200
    assert not psutil.pid_exists(running.pid)


def with_worker(at_sigterm: str) -> str:
    """An engine that ends at once when asked, and its worker, which does ``at_sigterm``."""
    worker = f"import signal, sys, time; signal.signal(15, lambda *_: {at_sigterm}); print('up', flush=True)\n"
    worker += "while True: time.sleep(600)"
    return f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {worker!r}]); time.sleep(600)"


async def stopped(tmp_path: Path, at_sigterm: str, timeout: float) -> float:
    """Seconds to stop an engine with a worker."""
    running = await started(tmp_path, with_worker(at_sigterm))
    while "up" not in running.log_tail():
        await asyncio.sleep(0.05)
    began = time.monotonic()
    await running.stop(timeout)
    assert not group_runs(running.pid)
    assert not [found for found in marked_processes() if found.mark == mark()]
    return time.monotonic() - began


async def test_workers_have_time_to_end(tmp_path):
    assert await stopped(tmp_path, "(time.sleep(1), print('saved', flush=True), sys.exit())", 250) < 200
    assert "saved" in (tmp_path / "engine.log").read_text()


async def test_waiting_for_workers_costs_nothing(tmp_path, monkeypatch):
    scans, pids = [], psutil.pids
    monkeypatch.setattr(psutil, "pids", lambda: scans.append(time.monotonic()) or pids())
    assert await stopped(tmp_path, "(time.sleep(2), sys.exit())", 250) >= 2
    # At most: for the workers; after their end; before SIGKILL; for strays; and twice for the assertions of `stopped`.
    assert len(scans) <= 6


async def test_workers_have_time_to_end_where_the_kernel_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    assert 1 <= await stopped(tmp_path, "(time.sleep(1), print('saved', flush=True), sys.exit())", 250) < 200
    assert "saved" in (tmp_path / "engine.log").read_text()


async def test_workers_that_do_not_end_are_ended(tmp_path):
    assert 0.5 <= await stopped(tmp_path, "None", 0.5) < 200


async def test_workers_of_an_engine_that_died_are_ended(tmp_path):
    running = await started(tmp_path, with_worker("sys.exit()").replace("time.sleep(600)", "input()"))
    await asyncio.wait_for(running.wait_exit(), 200)
    await running.stop(200)
    assert not group_runs(running.pid)


def test_a_zombie_does_not_run():
    with subprocess.Popen(["sleep", "600"], process_group=0) as child:
        assert group_runs(child.pid)
        child.kill()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        os.killpg(child.pid, 0)
        assert not group_runs(child.pid)
    assert not group_runs(child.pid)


async def test_children_that_left_the_group_are_ended_too(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print(c.pid, flush=True); time.sleep(600)"
    )
    running = await started(tmp_path, code)
    while not running.log_tail().strip():
        await asyncio.sleep(0.05)
    stray = int(running.log_tail().split()[0])
    await running.stop(1)
    assert not psutil.pid_exists(stray) or psutil.Process(stray).status() == psutil.STATUS_ZOMBIE
    assert not [found for found in marked_processes() if found.mark == mark()]


async def test_secrets_do_not_travel_unless_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "hush")
    monkeypatch.setenv("HF_TOKEN", "hush too")
    code = "import os; print(os.environ.get('MY_API_KEY'), os.environ.get('HF_TOKEN'), os.environ['X'])"
    running = await started(tmp_path, code, environment={"X": "y"}, environment_from=("HF_TOKEN",))
    await running.wait_exit()
    assert running.log_tail().strip() == "None hush too y"
    await running.stop(1)
    with pytest.raises(DeployError, match="NOT_THERE, which is not set"):
        await started(tmp_path, code, environment_from=("NOT_THERE",))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be divided")
async def test_the_last_core_is_left_to_the_load_generator(tmp_path):
    running = await started(tmp_path, "import os, time; time.sleep(0.3); print(sorted(os.sched_getaffinity(0)))")
    await running.wait_exit()
    assert running.log_tail().strip() == str(sorted(os.sched_getaffinity(0))[:-1]) == str(list(running.cpus))
    await running.stop(1)


async def test_when_memory_runs_out_the_engine_goes_first(tmp_path):
    running = await started(tmp_path, SERVE)
    ours, theirs = (Path(f"/proc/{pid}/oom_score_adj").read_text() for pid in ("self", running.pid))
    await running.stop(5)
    assert int(theirs) == 1000 > int(ours)


async def test_no_such_program(tmp_path):
    platform = ProcessPlatform({})
    launch = Launch(command=("no-such-engine",), address=platform.address())
    with pytest.raises(DeployError, match="cannot start no-such-engine"):
        await platform.start(launch, mark(), tmp_path / "log", {})


async def test_a_machine_without_open_files_is_no_fault_of_the_engine(tmp_path):
    platform = ProcessPlatform({})
    with open_files(0), pytest.raises(MachineError, match="no port is free: Too many open files"):
        platform.address()
    launch = Launch(command=("sleep", "60"), address=platform.address())
    with open_files(1), pytest.raises(MachineError, match="cannot start sleep: Too many open files"):
        await platform.start(launch, mark(), tmp_path / "log", {})  # the log takes the one that is left
    endpoint = EndpointPlatform({"url": "http://127.0.0.1:9", "apply_command": ["true"]})
    with open_files(4), pytest.raises(MachineError, match="cannot run true: Too many open files"):
        await endpoint.start(launch, mark(), tmp_path / "log", {"n": 3})


def test_a_machine_without_threads_is_no_fault_of_the_engine(tmp_path):
    code = f"""
import resource, pathlib
from servelab.platforms.spawn import spawn
from servelab.spec.errors import MachineError
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
room = pages * resource.getpagesize() + 2**22  # less than a thread's stack
resource.setrlimit(resource.RLIMIT_AS, (room, room))
try:
    spawn(["sleep", "60"], {{}}, pathlib.Path({str(tmp_path / "log")!r}), ())
except MachineError as error:
    print(error.message)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert said.stdout == "cannot start sleep: can't start new thread\n", said.stderr


async def test_a_live_owners_engine_is_no_leftover(tmp_path):
    running = await started(tmp_path, SERVE)
    assert ProcessPlatform({}).leftovers([mark().study]) == []
    await running.stop(1)


def test_a_log_is_cut_and_its_end_kept(tmp_path):
    log = tmp_path / "engine.log"
    log.write_text("".join(f"line {i}\n" for i in range(1000)))
    assert tail(log, 2) == "line 998\nline 999"
    cap(log, limit=100, kept=50)
    assert log.read_text() == ""
    assert (tmp_path / "engine.log.1").read_text().endswith("line 999\n")
    assert tail(tmp_path / "none.log", 3) == ""


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://me:secret@host", "nonsense"])
def test_urls_that_are_refused(url):
    with pytest.raises(DocumentError) as caught:
        EndpointPlatform({"url": url})
    assert "secret" not in str(caught.value) or "credentials" in str(caught.value)


async def test_parameters_reach_an_endpoint_by_the_users_command(tmp_path):
    script = "import json, os, sys; print(json.load(sys.stdin), os.environ['SERVELAB_PARAMETER_N'])"
    platform = EndpointPlatform({"url": "http://127.0.0.1:9", "apply_command": [sys.executable, "-c", script]})
    launch = Launch(command=("unused",), address=platform.address())
    running = await platform.start(launch, mark(), tmp_path / "log", {"n": 3})
    assert running.log_tail().strip() == "{'n': 3} 3"
    with pytest.raises(DeployError, match="did not answer"):
        await running.wait_ready(0.6)
    bare = EndpointPlatform({"url": "http://127.0.0.1:9"})
    with pytest.raises(DeployError, match="apply_command"):
        await bare.start(launch, mark(), tmp_path / "log", {"n": 3})
    failing = EndpointPlatform(
        {"url": "http://127.0.0.1:9", "apply_command": [sys.executable, "-c", "raise SystemExit('out of luck')"]}
    )
    with pytest.raises(DeployError, match="out of luck"):
        await failing.start(launch, mark(), tmp_path / "log", {"n": 3})
