"""A small HTTP/1.x client that stamps every piece of a response with its time of arrival.

A bare ``asyncio.Protocol``: the time is taken in ``data_received``, before anything else is done, and what was
received is looked at only when the request has ended. Clients with more layers report their own slowness as the
server's (docs/measuring.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter
from typing import Literal, cast
from urllib.parse import urlsplit

import httptools

from servelab.harnesses.builtin.name import LookupFailed, LookupKind, Name

CONNECT_TIMEOUT = 30.0  # seconds


ExchangeError = (
    LookupKind | Literal["connect_refused", "connect_timeout", "connect_failed", "reset", "timeout", "protocol"]
)


@dataclass
class Exchange:
    """A request and what came back. Times are of ``time.perf_counter``, in seconds."""

    sent: float
    status: int = 0
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    end: float = 0.0
    error: ExchangeError | None = None
    detail: str = ""

    @property
    def body(self) -> bytes:
        """All that was received, joined."""
        return b"".join(piece for _, piece in self.pieces)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one exchange at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.used = False
        self.reusable = True
        self._exchange: Exchange | None = None
        self._done: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._ends_with_connection = False
        self._now = 0.0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._now = perf_counter()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._finish("protocol")

    def connection_lost(self, error: Exception | None) -> None:
        self._now = perf_counter()
        self.reusable = False
        if self._exchange is not None:
            # Without a length or chunks, the end of the connection is the end of the body (HTTP/1.0).
            whole = self._ends_with_connection and error is None and self._exchange.status > 0
            self._finish(None if whole else "reset")
        del self._parser  # it refers to this: left alone, both would stay in memory

    # httptools' side

    def on_message_begin(self) -> None:
        self._ends_with_connection = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.pieces.append((self._now, body))

    def on_message_complete(self) -> None:
        if self._exchange is not None and self._exchange.status < HTTPStatus.OK:
            return  # 100 Continue and its like: the answer is yet to come
        self.reusable = self.reusable and self._parser.should_keep_alive()
        self._finish(None)

    # ours

    async def exchange(self, request: bytes, timeout: float) -> Exchange:
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._ends_with_connection = False
        found = self._exchange = Exchange(sent=perf_counter())
        self.transport.write(request)
        late = loop.call_later(timeout, self._finish, "timeout")
        try:
            await self._done
        finally:
            late.cancel()
            self._exchange = None
            self.used = True
            if not self.reusable or found.error:
                self.close()
        return found

    def _finish(self, error: ExchangeError | None) -> None:
        if self._exchange is None or self._done is None or self._done.done():
            return
        self._exchange.end = perf_counter() if error == "timeout" else self._now
        self._exchange.error = error
        self.reusable = self.reusable and error is None
        self._done.set_result(None)

    def close(self) -> None:
        self.reusable = False
        if self.transport is not None:
            self.transport.abort()


class Client:
    """Sends requests to one server over a pool of keep-alive connections."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._ssl else 80)
        self._name = Name(self._host, self._port)
        self._prefix = parts.path.rstrip("/")
        self._head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": parts.netloc, **headers}.items())
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes, timeout: float) -> Exchange:
        """POST JSON and wait for the whole response; errors are in the exchange, never raised."""
        head = f"POST {self._prefix}{path} HTTP/1.1\r\n{self._head}"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self._send(head.encode("latin-1") + body, timeout)

    async def get(self, path: str, timeout: float) -> Exchange:
        """GET and wait for the whole response; errors are in the exchange, never raised."""
        return await self._send(f"GET {self._prefix}{path} HTTP/1.1\r\n{self._head}\r\n".encode("latin-1"), timeout)

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _send(self, request: bytes, timeout: float) -> Exchange:
        began = perf_counter()
        try:
            connection = await self._connection()
        except LookupFailed as error:
            return Exchange(sent=began, end=perf_counter(), error=error.kind, detail=str(error))
        except TimeoutError:
            return Exchange(sent=began, end=perf_counter(), error="connect_timeout")
        except ConnectionRefusedError:
            return Exchange(sent=began, end=perf_counter(), error="connect_refused")
        except OSError as error:
            return Exchange(sent=began, end=perf_counter(), error="connect_failed", detail=str(error))
        was_used = connection.used
        found = await connection.exchange(request, timeout)
        if connection.reusable:
            self._idle.append(connection)
        if found.error == "reset" and was_used and not found.status:
            # The server closed the kept-alive connection just as we wrote: no fault of this request.
            return await self._send(request, timeout)
        # Connecting is part of what the client waits for.
        found.sent = began
        return found

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        *others, last = await self._name.addresses()
        for address in others:
            with contextlib.suppress(OSError):
                return await self._connect(address)
        return await self._connect(last)

    async def _connect(self, address: str) -> _Connection:
        loop = asyncio.get_running_loop()
        name = self._host if self._ssl else None
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, made = await loop.create_connection(
                _Connection, address, self._port, ssl=self._ssl, server_hostname=name
            )
        return made
