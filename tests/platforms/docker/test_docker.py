"""Engines in containers: started, watched, ended, and found again.

The engine of Docker is played unless one runs here; see engine.py for what that means.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from servelab.platforms.base import DiagnosedError, ExitedError
from servelab.platforms.docker.platform import DockerPlatform
from servelab.spec.deployment import Launch, Mark
from servelab.spec.errors import DeployError, MachineError, StoreError
from servelab.spec.model import EngineConfig, Model, Resources
from tests.platforms.docker.engine import PYTHON
from tests.platforms.docker.engines import Engine, played

RUN = os.environ.setdefault("DOCKER_TESTS_RUN", f"docker tests of {os.getpid()}")
"""In the command of every engine that these tests start, those of servelab's own processes included."""
SERVE = (
    "import http.server as h, sys, time\n"
    f"# {RUN}\n"
    "print('listening', flush=True)\n"
    "h.HTTPServer((sys.argv[1], int(sys.argv[2])), h.SimpleHTTPRequestHandler).serve_forever()"
)
MODEL = Model(id="m")


def mark(trial: int = 0, attempt: int = 100) -> Mark:
    return Mark(study=f"test-{os.getpid()}", trial=trial, attempt=attempt)


def launch(platform: DockerPlatform, code: str = SERVE, **changes) -> Launch:
    address = platform.address()
    # As engines are: a module, and flags.
    words = ("python3", "-c", code, address.host, str(address.port))
    return Launch(**({"command": words, "image": PYTHON, "address": address, "ready_path": "/"} | changes))


def platform_on(docker: Engine, **options) -> DockerPlatform:
    return DockerPlatform({"host": docker.host, "cache": "", **options})


async def test_an_engine_becomes_ready_is_logged_and_ended(docker, tmp_path):
    platform = platform_on(docker)
    running = await platform.start(launch(platform), mark(), tmp_path / "engine.log", {})
    await running.wait_ready(200)
    assert running.url.startswith("http://127.0.0.1:")
    async with asyncio.timeout(200):
        while "listening" not in running.log_tail():  # the log comes by a way of its own
            await asyncio.sleep(0.05)
    await running.stop(5)
    await running.stop(5)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(running.url.rpartition(":")[2]))) != 0
    assert platform.leftovers([mark().study]) == []


async def test_an_engine_that_dies_at_start_says_why(docker, tmp_path):
    platform = platform_on(docker)
    dying = launch(platform, "import sys; print('no such card'); sys.exit(3)")
    running = await platform.start(dying, mark(), tmp_path / "engine.log", {})
    with pytest.raises(ExitedError) as caught:
        await running.wait_ready(200)
    assert caught.value.exit.code == 3
    assert "no such card" in caught.value.exit.log_tail
    await running.stop(1)


async def test_a_signal_is_told_as_one(docker, tmp_path):
    platform = platform_on(docker)
    dying = launch(platform, "import os; os.kill(os.getpid(), 9)")
    running = await platform.start(dying, mark(), tmp_path / "engine.log", {})
    end = await asyncio.wait_for(running.wait_exit(), 200)
    assert end.code == -9
    await running.stop(1)


async def test_an_engine_that_ignores_sigterm_is_killed(docker, tmp_path):
    platform = platform_on(docker)
    stubborn = launch(platform, "import signal; signal.signal(15, signal.SIG_IGN)\n" + SERVE)
    running = await platform.start(stubborn, mark(), tmp_path / "engine.log", {})
    await running.wait_ready(200)
    began = time.monotonic()
    await running.stop(1)
    assert time.monotonic() - began < 200
    assert platform.leftovers([mark().study]) == []


async def test_an_engine_that_never_is_ready(docker, tmp_path):
    platform = platform_on(docker)
    running = await platform.start(launch(platform, "import time; time.sleep(600)"), mark(), tmp_path / "log", {})
    with pytest.raises(TimeoutError):
        await running.wait_ready(0.5)
    await running.stop(1)


async def test_an_image_that_does_not_exist(docker, tmp_path):
    platform = platform_on(docker)
    wrong = launch(platform, image="example.invalid/no/such:1")
    with pytest.raises(DiagnosedError) as caught:
        await platform.start(wrong, mark(), tmp_path / "engine.log", {})
    assert caught.value.failure.kind == "image_pull"
    assert "example.invalid/no/such:1" in caught.value.failure.message
    with pytest.raises(DiagnosedError) as caught:
        await platform_on(docker, pull="never").start(wrong, mark(), tmp_path / "engine.log", {})
    assert "pull is never" in caught.value.failure.message


async def test_a_pull_that_stalls_may_be_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("servelab.platforms.docker.image.SILENCE", 0.5)
    with played() as docker:
        platform = platform_on(docker)
        stalled = launch(platform, image="slow.example.org/x:1")
        with pytest.raises(DiagnosedError, match="broke off") as caught:
            await platform.start(stalled, mark(), tmp_path / "engine.log", {})
    assert caught.value.failure.transient


async def test_a_pull_tells_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("servelab.platforms.docker.image.TELL_EVERY", 0.0)
    told: list[str] = []
    with played(images=()) as docker:
        platform = platform_on(docker)
        running = await platform.start(launch(platform), mark(), tmp_path / "engine.log", {}, told.append)
        await running.stop(1)
    assert told[0] == f"pulling {PYTHON}"
    assert f"pulling {PYTHON}: 3.00 of 5.00 GB" in told
    assert told[-1] == "starting its container"


async def test_a_program_that_is_not_in_the_image(docker, tmp_path):
    platform = platform_on(docker)
    with pytest.raises(DeployError, match="executable file not found") as caught:
        await platform.start(launch(platform, command=("nonsense",)), mark(), tmp_path / "engine.log", {})
    assert "engine.executable" in caught.value.remedy
    assert platform.leftovers([mark().study]) == []


async def test_a_port_that_was_taken_meanwhile_is_no_fault_of_the_configuration(docker, tmp_path):
    platform = platform_on(docker)
    wanted = launch(platform)
    with socket.socket() as other:
        other.bind(("127.0.0.1", wanted.address.port))
        other.listen()
        with pytest.raises(MachineError, match=r"allocated|in use"):
            await platform.start(wanted, mark(), tmp_path / "engine.log", {})


async def test_a_local_model_is_mounted_read_only(docker, tmp_path):
    model = tmp_path / "weights"
    model.mkdir()
    (model / "config.json").write_text("{}")
    code = "import sys, os; print(sorted(os.listdir(sys.argv[sys.argv.index('--model') + 1])), flush=True)"
    platform = platform_on(docker)
    made = launch(platform)
    command = ("python3", "-c", code, "--model", str(model))
    running = await platform.start(made.model_copy(update={"command": command}), mark(), tmp_path / "log", {})
    end = await asyncio.wait_for(running.wait_exit(), 200)
    assert end.code == 0
    assert "config.json" in end.log_tail
    await running.stop(1)


CRASHING = """
import asyncio, sys
from pathlib import Path
from servelab.platforms.docker.platform import DockerPlatform
from tests.platforms.docker.test_docker import launch, SERVE
from servelab.spec.deployment import Mark

async def main():
    platform = DockerPlatform({"host": sys.argv[1], "cache": ""})
    running = await platform.start(launch(platform), Mark(study=sys.argv[2], trial=3, attempt=2), Path(sys.argv[3]), {})
    await running.wait_ready(200)
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_only_the_dead_owners_container_of_this_study_is_left_over(docker, tmp_path):
    ours, other = f"crash-{os.getpid()}", f"decoy-{os.getpid()}"
    owners = []
    for study in (ours, other):
        command = [sys.executable, "-c", CRASHING, docker.host, study, str(tmp_path / study)]
        root = Path(__file__).parents[3]
        owners.append(subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root))  # noqa: ASYNC220
    for owner in owners:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
    platform = platform_on(docker)
    assert platform.leftovers([ours, other]) == []  # they live
    owners[0].kill()
    owners[0].wait()
    (found,) = platform.leftovers([ours, other])
    assert found.mark == Mark(study=ours, trial=3, attempt=2)
    assert found.what == f"container servelab-{ours}-3-2"
    platform.remove(found)
    platform.remove(found)
    assert platform.leftovers([ours, other]) == []
    owners[1].kill()
    owners[1].wait()
    (decoy,) = platform.leftovers([other])
    platform.remove(decoy)


async def test_a_log_that_cannot_be_written_is_told_before_anything_starts(docker, tmp_path):
    platform = platform_on(docker)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the engine's log"):
        await platform.start(launch(platform), mark(), tmp_path / "file" / "engine.log", {})
    assert platform.leftovers([mark().study]) == []


async def test_without_an_engine_the_study_waits_for_one(tmp_path):
    platform = DockerPlatform({"host": f"unix://{tmp_path}/none.sock"})
    with pytest.raises(MachineError, match="cannot be reached") as caught:
        await platform.start(launch(platform), mark(), tmp_path / "engine.log", {})
    assert "doctor --platform docker" in caught.value.remedy
    with pytest.raises(MachineError):
        platform.leftovers(["s"])


async def test_an_engine_of_another_machine_is_refused(tmp_path):
    platform = DockerPlatform({"host": "tcp://gpu7.example.org:2375"})
    with pytest.raises(MachineError, match="another machine's") as caught:
        await platform.start(launch(platform), mark(), tmp_path / "engine.log", {})
    assert "Run servelab there" in caught.value.remedy


def test_the_published_image_is_used_where_the_study_names_none():
    platform = DockerPlatform({})
    cpu = platform.seen(MODEL, EngineConfig(name="llamacpp"))[1]
    assert cpu.image == "ghcr.io/ggml-org/llama.cpp:server"
    gpu = platform.seen(MODEL, EngineConfig(name="vllm", version="0.11.0", resources=Resources(accelerators=1)))[1]
    assert gpu.image == "vllm/vllm-openai:v0.11.0"
    own = platform.seen(MODEL, EngineConfig(name="vllm", image="mine:1"))[1]
    assert own.image == "mine:1"
    with pytest.raises(DeployError, match=r"engine\.image"):
        platform.seen(MODEL, EngineConfig(name="simulated"))


def test_no_process_is_left_of_these_tests():
    deadline = time.monotonic() + 120
    while [p for p in psutil.process_iter(["cmdline"]) if RUN in " ".join(p.info["cmdline"] or [])]:
        assert time.monotonic() < deadline
        time.sleep(0.1)  # what was killed takes a moment to be gone
