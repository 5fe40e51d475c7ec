"""Docker Engines to test with: the played one, and a real one where there is one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.platforms.docker.engine import PYTHON


@dataclass(frozen=True)
class Engine:
    """A Docker Engine: where it listens, and, of the played one, what it was asked."""

    host: str
    record: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    def calls(self, which: str) -> list[dict[str, Any]]:
        """The calls of the API whose path ends so, as ``POST /containers/create``; only the played engine tells."""
        assert self.record is not None
        method, _, path = which.partition(" ")
        lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [one for one in lines if one["call"].startswith(method + " ") and one["call"].endswith(path)]

    def created(self) -> list[dict[str, Any]]:
        """The bodies of all containers that were asked for."""
        return [json.loads(call["body"]) for call in self.calls("POST /containers/create")]


@contextlib.contextmanager
def played(images: Sequence[str] = (PYTHON,), gpus: Sequence[str] = ()) -> Iterator[Engine]:
    """The played engine, in a process of its own that outlives a killed servelab."""
    directory = Path(tempfile.mkdtemp(prefix="docker-"))
    path, record = directory / "docker.sock", directory / "calls.jsonl"
    record.touch()
    words = [f"--socket={path}", f"--record={record}", *(f"--image={one}" for one in images)]
    command = [sys.executable, "-m", "tests.platforms.docker.engine", *words, *(f"--gpu={one}" for one in gpus)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[3])
    try:
        deadline = time.monotonic() + 200
        while not _listens(path):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Engine(f"unix://{path}", record, process)
    finally:
        process.terminate()
        process.wait(120)
        shutil.rmtree(directory)


def real() -> Engine | None:
    """The engine that DOCKER_HOST or the usual socket names, if one answers."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://") and _listens(Path(host.removeprefix("unix://"))):
        return Engine(host)
    return None


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
