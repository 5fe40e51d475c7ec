"""A real page server in a process of its own, and a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servelab.store.store import Store

STARTED = 180.0  # seconds; a machine may stand still for half a minute
PORTS = range(20_000, 30_000)  # below those that the system gives to whoever connects, or takes any


@dataclass
class Served:
    """A page server over a data directory; it can be killed and started again on the same port."""

    home: Path
    arguments: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    module: str = "servelab"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Store:
        return Store(str(self.home / "servelab.db"))

    def start(self) -> Served:
        self.port = self.port or free_port()
        command = [sys.executable, "-m", self.module, "serve", "--port", str(self.port), *self.arguments]
        environment = {**os.environ, "SERVELAB_HOME": str(self.home), "PYTHONPATH": "src"}
        environment.pop("SERVELAB_STORE", None)
        environment |= self.environment
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._wait()
        return self

    def _wait(self) -> None:
        end = time.monotonic() + STARTED
        while time.monotonic() < end and self.process is not None and self.process.poll() is None:
            try:
                _OPENER.open(f"{self.url}/healthz", timeout=10).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the page server does not start: {self.log}")

    @property
    def log(self) -> str:
        return (self.home / "serve.log").read_text()

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(120)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(120)

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Answer:
        """Ask REST; ``body`` is sent as JSON."""
        data = None if body is None else json.dumps(body).encode()
        names = {"Content-Type": "application/json"} if data is not None else {}
        sent = {**names, **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = urllib.request.Request(self.url + path, data, sent, method=method)
        try:
            with _OPENER.open(request, timeout=120) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read(), dict(error.headers))


@dataclass(frozen=True)
class Answer:
    """What REST answered."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))


def free_port() -> int:
    """A port that nobody has, and that nobody is given until it is used, or used again after a restart."""
    for port in random.Random().sample(PORTS, 100):
        with contextlib.suppress(OSError), socket.socket() as found:
            found.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
