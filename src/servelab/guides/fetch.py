"""Fetch a text over https, and nothing from a private network: an address in a guide is somebody else's word."""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import SplitResult, urljoin, urlsplit

from servelab.guides.parse import MOST_BYTES, GuideError

TIMEOUT = 15.0  # seconds
MOST_REDIRECTS = 5
MOST_FILES = 200  # of one guide
_REDIRECTS = (301, 302, 303, 307, 308)


def public(address: str) -> bool:
    """Whether an IP address is one of the open internet."""
    return ipaddress.ip_address(address).is_global


@dataclass
class Fetcher:
    """Fetches the files of one guide; what was fetched once is not asked for again."""

    allowed: Callable[[str], bool] = public
    """Whether to connect to an IP address."""
    context: ssl.SSLContext | None = None
    """For TLS; by default that of the system, made when it is first needed."""
    _seen: dict[str, bytes | None] = field(default_factory=dict)

    def get(self, url: str) -> bytes | None:
        """What is at ``url``; None where there is nothing (404).

        Raises:
            GuideError: it is no https address, or cannot be reached, or lies in a private network, or is too large.
        """
        if url not in self._seen:
            if len(self._seen) >= MOST_FILES:
                raise GuideError(f"{url}: a guide of more than {MOST_FILES} files", "Give the part that is deployed.")
            self._seen[url] = self._follow(url)
        return self._seen[url]

    def _follow(self, url: str) -> bytes | None:
        at = url
        for _ in range(MOST_REDIRECTS + 1):
            parts = _split(at)
            if parts.scheme != "https" or not parts.hostname or parts.username:
                raise GuideError(f"{at}: only plain https addresses are fetched", "Give an https address or a path.")
            try:
                status, location, body = self._ask(parts)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise GuideError(f"{at}: cannot be fetched: {error}", "Check the address and the network.") from None
            if status in _REDIRECTS and location:
                at = urljoin(at, location)
                continue
            if status == HTTPStatus.NOT_FOUND:
                return None
            if status != HTTPStatus.OK:
                raise GuideError(f"{at}: the server answers {status}", "Check the address.")
            if len(body) > MOST_BYTES:
                raise GuideError(f"{at}: larger than {MOST_BYTES:,} bytes", "Give the guide's own files.")
            return body
        raise GuideError(f"{url}: redirected more than {MOST_REDIRECTS} times", "Check the address.")

    def _ask(self, parts: SplitResult) -> tuple[int, str | None, bytes]:
        connection = self._connection(parts)
        try:
            path = parts.path or "/"
            query = f"?{parts.query}" if parts.query else ""
            connection.request("GET", path + query, headers={"User-Agent": "servelab", "Accept": "text/plain, */*"})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Location"), answer.read(MOST_BYTES + 1)
        finally:
            connection.close()

    def _connection(self, parts: SplitResult) -> http.client.HTTPSConnection:
        host, port = str(parts.hostname), parts.port or 443
        self.context = self.context or ssl.create_default_context()
        proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
        if proxy:
            through = urlsplit(proxy if "//" in proxy else f"//{proxy}")
            self._check_literal(host)
            connection = http.client.HTTPSConnection(
                str(through.hostname), through.port or 3128, timeout=TIMEOUT, context=self.context
            )
            connection.set_tunnel(host, port)
            return connection
        return _Pinned(host, self._address(host, port), port, self.context)

    def _check_literal(self, host: str) -> None:
        """Refuse what names a private address itself; names are looked up by the proxy.

        Raises:
            GuideError: it is one.
        """
        name = host.rstrip(".").lower()
        try:
            address = name if ":" in name else socket.inet_ntoa(socket.inet_aton(name))  # 127.1 too, and 0x7f000001
            allowed = self.allowed(address)
        except (OSError, ValueError):
            allowed = name.rpartition(".")[2] != "localhost"
        if not allowed:
            raise GuideError(f"{host} is an address of a private network", "Copy its files, and give those instead.")

    def _address(self, host: str, port: int) -> str:
        """The address to connect to, looked up once, so that a second look-up cannot give another one.

        Raises:
            GuideError: it is one of a private network.
        """
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if not all(self.allowed(address.partition("%")[0]) for address in found):
            raise GuideError(f"{host} is an address of a private network", "Copy its files, and give those instead.")
        return found[0]


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise GuideError(f"{url}: is no address: {error}", "Check the address.") from None
    return parts


class _Pinned(http.client.HTTPSConnection):
    """Connects to a given address, and checks the certificate of the host's name."""

    def __init__(self, host: str, address: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=TIMEOUT, context=context)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), TIMEOUT)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
