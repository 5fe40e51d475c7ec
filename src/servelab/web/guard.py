"""Who may ask what, and how much: in front of pages, REST and sockets alike.

- The name in ``Host`` must be one of ours, or a page of somebody else's has been bent here (DNS rebinding).
- What changes something, and every socket, must come from our own page (``Origin``), or from no browser at all.
- Where a token is asked for: a session's cookie, ``Authorization: Bearer``, or a header of a proxy that is believed.
- A client gets so many requests, and so large a body, and no more.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, urlsplit

from servelab.web.settings import Settings
from servelab.web.tokens import COOKIE, Tokens

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({"/login", "/healthz", "/readyz"})
"""Paths that need no token."""
LARGEST = 4 << 20  # bytes of a body

POLICY = "; ".join(
    (
        "default-src 'self'",
        # NiceGUI compiles its templates in the browser and starts the page by a script in it.
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
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
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


class TooLargeError(Exception):
    """A body grew beyond what is taken."""


@dataclass
class Buckets:
    """Requests that clients still have: ``rate`` a second come back, up to ``burst``."""

    rate: float
    burst: float
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, client: str) -> bool:
        """Take one; False when none is left."""
        now = time.monotonic()
        left, since = self._left.pop(client, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate)
        self._left[client] = (max(0.0, left - 1), now)
        while len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return left >= 1


MOST_CLIENTS = 4096  # that are remembered


class Guard:
    """Refuses what may not be, and adds the headers that keep a page safe to what may."""

    def __init__(self, app: App, settings: Settings, tokens: Tokens) -> None:
        self._app = app
        self._settings = settings
        self._tokens = tokens
        self._reads = Buckets(rate=200, burst=1000)
        self._changes = Buckets(rate=10, burst=60)
        self._logins = Buckets(rate=0.1, burst=10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, socket, or the server's own start and end."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _Request(scope)
        refusal = self._refusal(request)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.message})
            return
        if refusal is not None:
            await _refuse(refusal, request, _hardened(send))
            return
        await self._answer(scope, receive, send, request)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request: _Request) -> None:
        started = False
        taken = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST:
                raise TooLargeError
            return message

        hardened = _hardened(send)

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await hardened(message)

        try:
            await self._app(scope, counted, noted)
        except TooLargeError:
            if not started:
                await _refuse(_TOO_LARGE, request, hardened)

    def _refusal(self, request: _Request) -> Refusal | None:
        if request.host not in self._settings.hosts:
            return Refusal(
                421,
                f"this server is not called {request.host or 'by that name'}",
                f"Open {self._settings.url}, or start it with --name for each further name.",
            )
        changes = request.method not in SAFE
        if (changes or request.socket) and not request.own:
            return Refusal(403, "the request comes from a page of another site", f"Open {self._settings.url} itself.")
        if not self._within_limits(request, changes):
            return Refusal(429, "too many requests", "Wait a moment; then again.")
        if request.length > LARGEST:
            return _TOO_LARGE
        if self._settings.guarded and request.path not in OPEN and not self._known(request):
            return Refusal(401, "this server asks for a token", "Open /login, or send Authorization: Bearer TOKEN.")
        return None

    def _within_limits(self, request: _Request, changes: bool) -> bool:
        if request.path == "/login" and changes:
            return self._logins.take(request.client)
        if request.path.startswith("/_nicegui/"):
            return True  # files, and the page's own socket
        return (self._changes if changes else self._reads).take(request.client)

    def _known(self, request: _Request) -> bool:
        settings = self._settings
        if settings.user_header and request.client in settings.proxies and request.header(settings.user_header):
            return True
        if not settings.token:
            return False
        kind, _, token = request.header("authorization").partition(" ")
        if kind.lower() == "bearer":
            return self._tokens.is_token(token.strip())
        return self._tokens.is_session(request.cookie(COOKIE))


_TOO_LARGE = Refusal(413, f"the body is larger than {LARGEST >> 20} MB", "Send less, or use the command line.")


class _Request:
    """What the guard looks at."""

    def __init__(self, scope: Scope) -> None:
        self._headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.path: str = scope["path"]
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.socket = scope["type"] == "websocket"
        self.method: str = "GET" if self.socket else scope["method"]
        self.client: str = (scope.get("client") or ("",))[0]

    def header(self, name: str) -> str:
        return self._headers.get(name.lower(), "")

    def cookie(self, name: str) -> str:
        try:
            found = SimpleCookie(self.header("cookie")).get(name)
        except CookieError:
            return ""
        return str(found.value) if found else ""

    @property
    def host(self) -> str:
        """The name in the Host header, without the port."""
        try:
            return urlsplit(f"//{self.header('host')}").hostname or ""
        except ValueError:
            return ""

    @property
    def own(self) -> bool:
        """Whether it comes from our own page, or from no browser: those name the page's origin."""
        origin = self.header("origin")
        if origin:
            return urlsplit(origin).netloc == self.header("host")
        return self.header("sec-fetch-site") in ("", "same-origin", "none")

    @property
    def length(self) -> int:
        """Bytes that are announced."""
        said = self.header("content-length")
        return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0

    @property
    def page(self) -> bool:
        """Whether a person asks for a page."""
        return "text/html" in self.header("accept") and not self.path.startswith(("/api/", "/_nicegui/"))


def _hardened(send: Send) -> Send:
    """``send`` that adds the headers of a safe page."""

    async def add(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            more = [header for header in HEADERS if header[0] not in present]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return add


async def _refuse(refusal: Refusal, request: _Request, send: Send) -> None:
    headers: list[tuple[bytes, bytes]]
    if refusal.status == 401 and request.page:
        target = quote(request.path + (f"?{request.query}" if request.query else ""), safe="/")
        status, headers, body = 303, [(b"location", f"/login?next={target}".encode())], b""
    else:
        status = refusal.status
        headers = [(b"content-type", b"application/json")]
        body = json.dumps({"message": refusal.message, "remedy": refusal.remedy}).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
