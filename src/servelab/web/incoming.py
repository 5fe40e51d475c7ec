"""What the guard looks at of a request or socket, read with suspicion."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


class Incoming:
    """A request, or a socket that wants to be opened."""

    def __init__(self, scope: Scope) -> None:
        self._headers: list[tuple[str, str]] = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        self.path: str = scope["path"]
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.socket: bool = scope["type"] == "websocket"
        self.method: str = "GET" if self.socket else scope["method"]
        self.client = plain_address((scope.get("client") or ("",))[0])

    def header(self, name: str) -> str:
        """A header; empty when there is none, or more than one: who sends two means to deceive somebody."""
        found = [value for known, value in self._headers if known == name.lower()]
        return found[0] if len(found) == 1 else ""

    def cookie(self, name: str) -> str:
        """A cookie; empty when there is none."""
        try:
            found = SimpleCookie(self.header("cookie")).get(name)
        except CookieError:
            return ""
        return str(found.value) if found else ""

    @property
    def host(self) -> str:
        """The name in the Host header, without the port; empty when it is none."""
        found = _HOST.fullmatch(self.header("host").lower())
        return found[1].strip("[]") if found else ""

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method not in SAFE

    @property
    def own(self) -> bool:
        """Whether it comes from our own page, from somebody's link to it, or from no browser at all.

        Browsers name the page that asks in Origin, or tell in Sec-Fetch-Site whether it is of the same origin.
        """
        if any(name == "origin" for name, _ in self._headers):
            return _origin(self.header("origin")) == self.header("host").lower()
        if self.header("sec-fetch-site") in ("", "same-origin", "none"):
            return True
        link = self.header("sec-fetch-mode") == "navigate" and self.header("sec-fetch-dest") == "document"
        return link and not self.changes and not self.socket

    @property
    def length(self) -> int:
        """Bytes that are announced."""
        said = self.header("content-length")
        return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0

    @property
    def page(self) -> bool:
        """Whether a person asks for a page."""
        return "text/html" in self.header("accept") and not self.path.startswith(("/api/", "/_nicegui"))


def plain_address(text: str) -> str:
    """An address as it is written most shortly; IPv4 as such, also where a socket of IPv6 has taken it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _origin(text: str) -> str:
    try:
        return urlsplit(text).netloc.lower()
    except ValueError:
        return ""
