"""Engines as real processes."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Served:
    """A server that runs."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def words(self) -> str:
        return self.log.read_text()

    def wait_ready(self, seconds: float = 120) -> None:
        """Return when ``/health`` is answered with 200."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.words()
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"not ready after {seconds} s\n{self.words()}")


@pytest.fixture
def serve(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> Iterator[Callable[..., Served]]:
    """Start ``python -m MODULE ARGUMENTS --port N``; everything is ended after the test, by its pid."""
    started: list[Served] = []

    def start(
        module: str, *arguments: str, ready: bool = True, port: int | None = None, memory: int | None = None
    ) -> Served:
        port = port or unused_tcp_port_factory()
        log = tmp_path / f"engine-{len(started)}.log"
        with log.open("wb") as sink:
            command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
            if memory is not None:  # bytes of address space, from the first instruction
                command = ["sh", "-c", f'ulimit -v {memory // 1024} && exec "$@"', "sh", *command]
            process = subprocess.Popen(command, stdout=sink, stderr=sink)
        served = Served(process, f"http://127.0.0.1:{port}", log)
        started.append(served)
        if ready:
            served.wait_ready()
        return served

    yield start
    for served in started:
        served.process.kill()
        served.process.wait()


@pytest.fixture
def simulate(serve: Callable[..., Served]) -> Callable[..., Served]:
    """Start the simulated engine, fast unless told otherwise."""

    def start(*arguments: str, ready: bool = True, scale: float = 0.05, port: int | None = None) -> Served:
        module = "servelab.engines.simulated"
        return serve(
            module, "m", "--time-scale", str(scale), "--startup-seconds", "0", *arguments, ready=ready, port=port
        )

    return start
