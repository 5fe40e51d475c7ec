"""Ports: free, and not given twice in a row."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from servelab.platforms import ports
from servelab.platforms.process import ProcessPlatform
from servelab.spec.errors import DeployError


def test_ports_asked_for_in_haste_differ():
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(lambda _: ProcessPlatform({}).address().port, range(3000)))
    assert [port for port, times in Counter(given).items() if times > 1] == []
    assert min(given) >= 1024


def test_a_port_is_free():
    with socket.socket() as server:
        server.bind(("127.0.0.1", ProcessPlatform({}).address().port))


def machine(*free: int) -> SimpleNamespace:
    """Sockets of a machine that gives out these ports only."""
    left = list(free)

    class Socket(contextlib.AbstractContextManager):
        port = None

        def bind(self, _):
            if not left:
                raise OSError(98, "Address already in use")
            self.port = left.pop()

        def getsockname(self):
            return ("127.0.0.1", self.port)

        def __exit__(self, *_):
            if self.port:
                left.append(self.port)

    return SimpleNamespace(socket=Socket)


def test_a_machine_with_few_ports(monkeypatch):
    monkeypatch.setattr(ports, "socket", machine(5001, 5002, 5003))
    given = [ports.free_port() for _ in range(7)]
    assert sorted(given[:3]) == sorted(given[3:6]) == [5001, 5002, 5003]
    monkeypatch.setattr(ports, "socket", machine())
    with pytest.raises(DeployError, match="no port is free: Address already in use"):
        ProcessPlatform({}).address()
