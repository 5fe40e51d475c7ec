"""Who may ask what, and how much: in front of pages, REST and sockets alike.

- A client gets so many requests, and so large a body, and no more.
- The name in ``Host`` must be one of ours, or a page of somebody else's has been bent here (DNS rebinding).
- What a browser sends must come from our own page (``Origin``, ``Sec-Fetch-Site``), be it to change or to read.
- Where a token is asked for: a session's cookie, ``Authorization: Bearer``, or a header of a proxy that is believed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException

from servelab.web.incoming import Incoming, Scope
from servelab.web.limits import Buckets
from servelab.web.settings import Settings
from servelab.web.tokens import COOKIE, Tokens

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/login", "/healthz", "/readyz"})
"""Paths that need no token."""
LARGEST = 4 << 20  # bytes of a body, and of a socket's message

PAGES = "; ".join(
    (
        "default-src 'self'",
        # NiceGUI compiles its templates in the browser (Vue's compiler makes functions of text), and starts each page
        # by scripts in it that differ from page to page, for which it has no nonce: nothing less will do.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
LOGIN = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
REST = "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"
"""For what is no page: should a browser take it for one, it may do nothing."""
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    message: str
    remedy: str
    wait: float = 0.0  # seconds


_TOO_LARGE = Refusal(413, f"the body is larger than {LARGEST >> 20} MB", "Send less, or use the command line.")


class TooLargeError(HTTPException):
    """A body grew beyond what is taken; a kind of error that what reads bodies passes on."""

    def __init__(self) -> None:
        super().__init__(_TOO_LARGE.status, _TOO_LARGE.message)


class Guard:
    """Refuses what may not be, and adds the headers that keep a page safe to what may."""

    def __init__(self, app: App, settings: Settings, tokens: Tokens) -> None:
        self.app = app
        self._settings = settings
        self._tokens = tokens
        self._hosts = settings.hosts
        self._reads = Buckets(rate=200, burst=1000)
        self._changes = Buckets(rate=20, burst=100)
        self._logins = Buckets(rate=0.1, burst=10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, socket, or the server's own start and end."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        asked = Incoming(scope)
        refusal = self._refusal(asked)
        if scope["type"] == "websocket":
            if refusal is None:
                await self.app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.message})
            return
        hardened = _hardened(send, asked)
        if refusal is None:
            await self.app(scope, _counted(receive), hardened)
        else:
            await _refuse(refusal, asked, hardened)

    def _refusal(self, asked: Incoming) -> Refusal | None:
        url = self._settings.url
        if wait := self._wait(asked):
            return Refusal(429, "too many requests", f"Try again in {math.ceil(wait)} s.", wait)
        if not self._is_ours(asked.host):
            called = f"this server is not called {asked.host}" if asked.host else "the request names no server"
            return Refusal(421, called, f"Open {url}, or start it with --name for each further name.")
        if not asked.own:
            return Refusal(403, "the request comes from a page of another site", f"Open {url} itself.")
        if asked.length > LARGEST:
            return _TOO_LARGE
        if self._settings.guarded and asked.path not in OPEN and not self._is_known(asked):
            return Refusal(401, "this server asks for a token", "Open /login, or send Authorization: Bearer TOKEN.")
        return None

    def _wait(self, asked: Incoming) -> float:
        if asked.path == "/login" and asked.changes:
            return self._logins.take(asked.client)
        if asked.path.startswith("/_nicegui/"):
            return 0.0  # the many files of a page
        page = asked.path.startswith("/_nicegui_ws/")  # what happens on a page, where sockets are in nobody's favour
        return (self._changes if asked.changes and not page else self._reads).take(asked.client)

    def _is_ours(self, host: str) -> bool:
        if host not in self._hosts:
            self._hosts = self._settings.hosts  # the machine may have a new address
        return host in self._hosts

    def _is_known(self, asked: Incoming) -> bool:
        settings = self._settings
        if settings.user_header and asked.client in settings.proxies and asked.header(settings.user_header):
            return True
        if not settings.token:
            return False
        kind, _, token = asked.header("authorization").partition(" ")
        if kind.lower() == "bearer":
            return self._tokens.is_token(token.strip())
        return self._tokens.is_session(asked.cookie(COOKIE))


def _counted(receive: Receive) -> Receive:
    """``receive`` that gives up when a body has grown too large, whatever its beginning announced.

    Raises:
        TooLargeError: it has.
    """
    taken = 0

    async def count() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST:
            raise TooLargeError
        return message

    return count


def _hardened(send: Send, asked: Incoming) -> Send:
    """``send`` that adds the headers of a safe answer."""
    policy = REST if asked.path.startswith("/api/") else LOGIN if asked.path in OPEN else PAGES
    ours = [(b"content-security-policy", policy.encode()), *HEADERS]
    if policy != PAGES:
        ours.append((b"cache-control", b"no-store"))

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            more = [header for header in ours if header[0] not in present]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return add


async def _refuse(refusal: Refusal, asked: Incoming, send: Send) -> None:
    status, headers = refusal.status, [(b"cache-control", b"no-store")]
    if status == 401 and asked.page:
        target = quote(asked.path + (f"?{asked.query}" if asked.query else ""), safe="/")
        status, body = 303, b""
        headers.append((b"location", f"/login?next={target}".encode()))
    elif asked.page:
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
        body = f"{refusal.message}\n{refusal.remedy}\n".encode()
    else:
        headers.append((b"content-type", b"application/json"))
        body = json.dumps({"message": refusal.message, "remedy": refusal.remedy, "problems": []}).encode()
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.wait:
        headers.append((b"retry-after", str(math.ceil(refusal.wait)).encode()))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
