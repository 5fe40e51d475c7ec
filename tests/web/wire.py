"""Requests as bytes on a socket: what no well-behaved client sends."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http.client import HTTPResponse

GOOD = "127.0.0.1"


@dataclass(frozen=True)
class Wired:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


def send(
    port: int, line: str, *headers: str, body: bytes = b"", host: str | None = GOOD, connect: str = GOOD, read: int = -1
) -> Wired:
    """Send a request line, these headers and a body; ``read`` so many bytes of the answer, or all."""
    named = [] if host is None else [f"Host: {host}"]
    head = "\r\n".join((f"{line} HTTP/1.1", *named, *headers, "Connection: close", "", ""))
    with socket.create_connection((connect, port), 120) as sock:
        sock.sendall(head.encode("latin-1") + body)
        answer = HTTPResponse(sock)
        answer.begin()
        found = answer.read() if read < 0 else answer.read(read)
        return Wired(answer.status, {name.lower(): value for name, value in answer.getheaders()}, found)
