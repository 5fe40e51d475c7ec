"""`servelab serve` as people start it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, expect

from tests.lab.studies import servelab
from tests.web.served import Served, free_port


def test_help_says_what_each_option_is_for() -> None:
    text = servelab("serve", "--help").stdout
    for option in ("--host", "--port", "--name", "--new-token", "--user-header", "--proxy", "--open", "--store"):
        assert re.search(rf"{option}\b.* \S+", text), option
    assert "127.0.0.1" in text
    assert "8640" in text


def test_a_port_in_use_is_told_before_a_token_is_made(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = servelab("serve", "--port", port, "--host", "0.0.0.0", check=False)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "--port" in done.stderr
    assert "token" not in done.stdout
    assert not list(home.glob("web-*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "gpubox"), "numbers"),
        (("--host", ""), "numbers"),
        (("--host", "203.0.113.7"), "address of this machine"),
        (("--port", "70000"), "0 to 65535"),
        (("--port", "x"), "port"),
        (("--name", "http://box:8640"), "name of a host"),
        (("--user-header", "X-User"), "together"),
        (("--proxy", "10.0.0.1"), "together"),
        (("--user-header", "X User", "--proxy", "10.0.0.1"), "name of a header"),
        (("--user-header", "X-User", "--proxy", "box"), "numbers"),
        (("--store", "mysql://x/y"), "not supported"),
    ],
)
def test_what_makes_no_sense_is_said(home: Path, arguments: tuple[str, ...], said: str) -> None:
    done = servelab("serve", *arguments, check=False)
    assert done.returncode in (1, 2, 4)
    assert said in done.stderr + done.stdout


def test_without_the_extra_it_says_what_to_install(home: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'nicegui' else find(name, package)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "servelab", "serve"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'servelab[web]'" in done.stderr


def test_a_free_port_is_taken_and_told(home: Path) -> None:
    command = [sys.executable, "-u", "-m", "servelab", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.terminate()
    found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
    assert found, said
    assert int(found[1]) > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_seconds_though_browsers_are_connected(
    tmp_path: Path, browser: Browser, number: signal.Signals
) -> None:
    served = Served(tmp_path / "home").start()
    assert served.process is not None
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.url)
    expect(page.get_by_role("heading", name="No studies yet")).to_be_visible(timeout=120_000)
    with socket.create_connection(("127.0.0.1", served.port)) as stream:
        stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert stream.recv(100).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        served.process.send_signal(number)
        served.process.wait(120)
    print("seconds to the end:", round(time.monotonic() - began, 1))
    context.close()
    assert served.process.returncode in (0, -number, 130)
    assert "Traceback" not in served.log, served.log
    assert "ERROR" not in served.log, served.log


def test_nothing_is_written_where_it_was_started(tmp_path: Path) -> None:
    where = tmp_path / "where"  # root may write there, so what counts is that nobody does
    where.mkdir(mode=0o500)
    (tmp_path / "home").mkdir()
    port = free_port()
    command = [sys.executable, "-m", "servelab", "serve", "--port", str(port)]
    environment = {**os.environ, "SERVELAB_HOME": str(tmp_path / "home")}
    environment.pop("SERVELAB_STORE", None)
    process = subprocess.Popen(command, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        served = Served(tmp_path / "home", port=port, process=process)
        served._wait()
        assert served.ask("/").status == 200
        assert not list(where.iterdir())
        assert psutil.Process(process.pid).cwd() == str(where)
    finally:
        process.terminate()
        process.wait(120)
