"""What an engine is told of our environment, where it may run, and what is kept of its log."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from servelab.platforms.environment import engine_environment
from servelab.platforms.logfile import cap, tail
from servelab.platforms.process import ProcessPlatform
from servelab.spec.deployment import Address, Launch, Mark
from servelab.spec.errors import DeployError, DocumentError, StoreError


def launch(**changes) -> Launch:
    return Launch(**({"command": ("x",), "address": Address(port=1)} | changes))


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "DB_PASSWORD",
        "PGPASSWORD",
        "SIGNING_KEY",
        "SERVELAB_STORE",
        "DATABASE_URL",
        "SENTRY_DSN",
        "hf_token",
    ],
)
def test_secrets_stay_here(name, monkeypatch):
    monkeypatch.setenv(name, "hush")
    assert name not in engine_environment(launch())
    assert engine_environment(launch(environment_from=(name,)))[name] == "hush"


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "TOKENIZERS_PARALLELISM", "HF_HOME", "KEYBOARD", "PATH"])
def test_what_is_no_secret_is_passed_on(name, monkeypatch):
    monkeypatch.setenv(name, "seen")
    assert engine_environment(launch())[name] == "seen"


def test_the_studys_variables_win(monkeypatch):
    monkeypatch.setenv("VLLM_X", "ours")
    assert engine_environment(launch(environment={"VLLM_X": "theirs"}))["VLLM_X"] == "theirs"
    with pytest.raises(DeployError, match="NOT_SET_ANYWHERE") as caught:
        engine_environment(launch(environment_from=("NOT_SET_ANYWHERE",)))
    assert "export NOT_SET_ANYWHERE" in caught.value.remedy


async def test_an_engine_runs_on_the_cores_it_is_given(tmp_path):
    core = min(os.sched_getaffinity(0))
    code = "import os, time; time.sleep(0.5); print(sorted(os.sched_getaffinity(0)))"
    made = launch(command=(sys.executable, "-c", code))
    running = await ProcessPlatform({"cpus": [core]}).start(made, Mark(study="c", trial=0), tmp_path / "log", {})
    await running.wait_exit()
    assert running.log_tail() == f"[{core}]"
    assert running.cpus == (core,)
    await running.stop(1)


async def test_an_engine_is_bound_before_its_first_instruction(tmp_path):
    ours = os.sched_getaffinity(0)
    cores = [min(ours), max(ours)] * 10
    command = ("grep", "Cpus_allowed_list", "/proc/self/status")  # ends about as soon as a program can
    started = [
        ProcessPlatform({"cpus": [core]}).start(
            launch(command=command), Mark(study="c", trial=i), tmp_path / f"{i}", {}
        )
        for i, core in enumerate(cores)
    ]
    for core, running in zip(cores, await asyncio.gather(*started), strict=True):
        await running.wait_exit()
        assert running.log_tail().split() == ["Cpus_allowed_list:", str(core)]
        await running.stop(1)
    assert os.sched_getaffinity(0) == ours


async def test_cores_that_the_kernel_refuses_are_not_passed_over(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    core = min(os.sched_getaffinity(0))
    platform = ProcessPlatform({"cpus": [core]})
    launch = Launch(command=("true",), address=platform.address())
    with pytest.raises(DeployError, match="cannot bind the engine to cores"):
        await platform.start(launch, Mark(study="test", trial=0), tmp_path / "log", {})


async def test_cores_that_are_not_there_are_refused_and_nothing_stays(tmp_path):
    before = {child.pid for child in psutil.Process().children()}
    made = launch(command=(sys.executable, "-c", "import time; time.sleep(60)"))
    for cpus in ([4000], [0, 4000], [-1], [10**30]):
        with pytest.raises(DeployError, match="cannot bind the engine to cores") as caught:
            await ProcessPlatform({"cpus": cpus}).start(made, Mark(study="c", trial=0), tmp_path / "log", {})
        assert str(sorted(os.sched_getaffinity(0))) in caught.value.remedy
    assert {child.pid for child in psutil.Process().children()} <= before
    with pytest.raises(DocumentError):
        ProcessPlatform({"cpus": "all"})


async def test_a_program_that_may_not_be_run(tmp_path):
    program = tmp_path / "engine"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(DeployError, match="Permission denied"):
        await ProcessPlatform({}).start(launch(command=(str(program),)), Mark(study="c", trial=0), tmp_path / "l", {})


async def test_an_engine_that_was_killed_says_by_what(tmp_path):
    made = launch(command=(sys.executable, "-c", "import os; print('bye', flush=True); os.kill(os.getpid(), 9)"))
    running = await ProcessPlatform({}).start(made, Mark(study="c", trial=0), tmp_path / "deep" / "log", {})
    ended = await asyncio.wait_for(running.wait_exit(), 200)
    assert (ended.code, ended.log_tail) == (-9, "bye")
    await running.stop(1)


async def test_a_program_that_is_none(tmp_path):
    program = tmp_path / "engine"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    with pytest.raises(DeployError, match=f"cannot start {program}: Exec format error"):
        await ProcessPlatform({}).start(launch(command=(str(program),)), Mark(study="c", trial=0), tmp_path / "l", {})


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("{tmp}", "Is a directory"),
        ("{tmp}/file/log", "File exists"),
        ("/proc/none/log", "No such file or directory"),
    ],
)
async def test_a_log_that_cannot_be_written_is_no_fault_of_the_engine(log, why, tmp_path):
    (tmp_path / "file").touch()
    path = Path(log.format(tmp=tmp_path))
    made = launch(command=(sys.executable, "-c", "pass"))
    with pytest.raises(StoreError) as caught:
        await ProcessPlatform({}).start(made, Mark(study="c", trial=0), path, {})
    assert caught.value.message == f"cannot write the engine's log {path}: {why}"
    assert "SERVELAB_HOME" in caught.value.remedy


def test_the_tail_of_a_log_survives_odd_bytes(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo \xff\xfe\nthree \xe4\xb8")
    assert tail(log, 2).splitlines()[0].startswith("two ")
    assert len(tail(log, 100).splitlines()) == 3
    log.write_bytes(b"x" * 1_000_000)
    assert len(tail(log, 1)) < 500_000


def test_a_log_is_cut_while_it_is_written(tmp_path):
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 100)
        cap(log, limit=100, kept=10)
        assert log.stat().st_size == 100
        writer.write(b"end of it\n")
        cap(log, limit=100, kept=10)
        assert (tmp_path / "log.1").read_bytes() == b"end of it\n"
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
