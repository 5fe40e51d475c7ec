"""Somebody else's server: its address, how parameters reach it, and whether it answers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from servelab.platforms.endpoint import EndpointPlatform, RunningEndpoint
from servelab.platforms.process import ProcessPlatform
from servelab.spec.deployment import Launch, Mark
from servelab.spec.errors import DeployError, DocumentError, StoreError

MARK = Mark(study="s", trial=4, attempt=2)

SHOW = """
import json, os, sys
given = json.load(sys.stdin)
named = {k: v for k, v in os.environ.items() if k.startswith("SERVELAB_") and k != "SERVELAB_HOME"}
print(json.dumps([given, named]))
"""


class Warming(BaseHTTPRequestHandler):
    """Answers 503 twice, then 200, on one path only."""

    def do_GET(self):
        self.server.asked += 1
        ready = self.path == "/base/ready?full=1" and self.server.asked > 2
        self.send_response(200 if ready else 503)
        self.end_headers()

    def log_message(self, *_: object):
        """Say nothing."""


@pytest.fixture
def warming() -> Iterator[ThreadingHTTPServer]:
    """A server that needs a moment."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Warming) as server:
        server.asked = 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


async def start(tmp_path: Path, parameters: dict, **options) -> RunningEndpoint:
    platform = EndpointPlatform({"url": "http://127.0.0.1:9", **options})
    launch = Launch(command=("unused",), address=platform.address())
    return await platform.start(launch, MARK, tmp_path / "log", parameters)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_a_server_is_waited_for_on_its_ready_path(tmp_path, warming):
    url = f"http://127.0.0.1:{warming.server_address[1]}/base"
    running = await start(tmp_path, {}, url=url + "/", ready_path="/ready?full=1")
    assert running.url == url
    await running.wait_ready(200)
    assert warming.asked >= 3
    await running.stop(1)
    await running.stop(1)
    assert running.log_tail() == ""


async def test_a_server_that_is_not_ready_is_named(tmp_path, warming):
    url = f"http://127.0.0.1:{warming.server_address[1]}"
    running = await start(tmp_path, {}, url=url)
    with pytest.raises(DeployError, match=f"{url}/health did not answer with 200 within 0.7 s"):
        await running.wait_ready(0.7)


async def test_a_dead_port_is_not_ready(tmp_path):
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        running = await start(tmp_path, {}, url=f"http://127.0.0.1:{dead.getsockname()[1]}")
        with pytest.raises(DeployError, match="ready_path"):
            await running.wait_ready(0.2)


async def test_the_command_gets_parameters(tmp_path):
    given = {"max_num_seqs": 8, "eager": True, "share": 0.5, "dtype": "auto"}
    running = await start(tmp_path, given, apply_command=python(SHOW))
    document, named = json.loads(running.log_tail())
    assert document == given
    assert named["SERVELAB_PARAMETER_MAX_NUM_SEQS"] == "8"
    assert named["SERVELAB_PARAMETER_DTYPE"] == "auto"


async def test_a_server_that_the_command_starts_is_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_STUDY", "s")  # a mark around us is none of the server's either
    monkeypatch.setenv("SERVELAB_TRIAL", "1")
    monkeypatch.setenv("SERVELAB_OWNER", "1/1")
    code = (
        "import subprocess, sys\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "print(subprocess.Popen(sleep, stdin=subprocess.DEVNULL, start_new_session=True).pid)"
    )
    running = await start(tmp_path, {"n": 1}, apply_command=python(code))
    server = int(running.log_tail())
    try:
        assert b"SERVELAB_PARAMETER_N=1" in Path(f"/proc/{server}/environ").read_bytes()
        assert all(left.id.split("/")[0] != str(server) for left in ProcessPlatform({}).leftovers(["s"]))
        assert b"SERVELAB_STUDY" not in Path(f"/proc/{server}/environ").read_bytes()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)


async def test_a_log_that_cannot_be_written_is_no_fault_of_the_command(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(StoreError, match=f"cannot write the engine's log {tmp_path / 'log'}: Is a directory"):
        await start(tmp_path, {"n": 1}, apply_command=python("pass"))


async def test_a_command_that_does_not_read_is_no_fault(tmp_path):
    many = {f"p{i}": "x" * 1000 for i in range(200)}
    await start(tmp_path, many, apply_command=python("pass"))


async def test_the_baseline_is_applied_too(tmp_path):
    running = await start(tmp_path, {}, apply_command=python(SHOW))
    assert json.loads(running.log_tail())[0] == {}


async def test_a_failing_command_is_told_with_its_last_line(tmp_path):
    code = "print('first'); raise SystemExit('no such deployment')"
    with pytest.raises(DeployError, match=r"exited with 1: no such deployment"):
        await start(tmp_path, {"n": 1}, apply_command=python(code))
    with pytest.raises(DeployError, match="cannot run no-such-program"):
        await start(tmp_path, {"n": 1}, apply_command=["no-such-program"])


async def test_a_command_that_does_not_end_is_ended(tmp_path):
    began = time.monotonic()
    with pytest.raises(DeployError, match=r"did not end within 0\.3 s"):
        await start(tmp_path, {"n": 1}, apply_command=python("import time; time.sleep(600)"), apply_timeout="300ms")
    assert time.monotonic() - began < 200


async def test_parameters_need_a_way(tmp_path):
    with pytest.raises(DeployError, match="does not say how to change its parameters"):
        await start(tmp_path, {"n": 1})
    await start(tmp_path, {})


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("http://h", "h", 80), ("https://h/x", "h", 443), ("http://[::1]:81", "::1", 81)],
)
def test_the_address_is_the_endpoints(url, host, port):
    address = EndpointPlatform({"url": url}).address()
    assert (address.host, address.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    ["http://u:p@h", "http://u@h", "file:///etc/passwd", "h:80", "", "http://h:99999", "http://h:x", "ftp://u:p4ss@h"],
)
def test_urls_that_cannot_be_are_refused(url):
    with pytest.raises(DocumentError) as caught:
        EndpointPlatform({"url": url})
    assert "p4ss" not in str(caught.value)


def test_unknown_options_are_refused():
    with pytest.raises(DocumentError, match="aply_command"):
        EndpointPlatform({"url": "http://h", "aply_command": ["x"]})
    with pytest.raises(DocumentError):
        EndpointPlatform({})


def test_nothing_is_left_over():
    assert EndpointPlatform({"url": "http://h"}).leftovers(["s"]) == []
