"""How the page server is run."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, replace

import psutil

from servelab.lab.paths import data_directory
from servelab.spec.errors import ServelabError
from servelab.web.incoming import plain_address
from servelab.web.tokens import Tokens

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True)
class Settings:
    """Where it listens, who may come in, and how much of it one client gets."""

    host: str = "127.0.0.1"
    port: int = 8640
    names: tuple[str, ...] = ()
    """Further names that browsers reach it by, as a proxy's."""
    user_header: str = ""
    """Header in which a proxy names a person that it has let in; empty for none."""
    proxies: frozenset[str] = frozenset()
    """Addresses that are believed in that."""

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    @property
    def token(self) -> bool:
        """Whether a token is asked for, besides what a proxy says."""
        return not self.local

    @property
    def guarded(self) -> bool:
        """Whether anybody has to say who they are."""
        return self.token or bool(self.user_header)

    @property
    def tokens(self) -> Tokens:
        """The token and the sessions."""
        return Tokens(data_directory())

    def checked(self) -> Settings:
        """These settings.

        Raises:
            ServelabError: they make no sense.
        """
        try:
            for address in (*([] if self.host == "localhost" else [self.host]), *self.proxies):
                ipaddress.ip_address(address)
        except ValueError as error:
            raise ServelabError(str(error), "Give addresses as numbers, as 127.0.0.1 or 0.0.0.0.") from None
        if wrong := next((name for name in self.names if not _NAME.fullmatch(name)), None):
            raise ServelabError(f"{wrong!r} is no name of a host", "Give it without http:// and port: gpubox.example")
        if self.user_header and not _HEADER.fullmatch(self.user_header):
            raise ServelabError(f"{self.user_header!r} is no name of a header", "As: X-Forwarded-User")
        if bool(self.user_header) != bool(self.proxies):
            raise ServelabError(
                "a header that names a person is believed of known proxies only",
                "Give --user-header and --proxy together.",
            )
        return replace(self, proxies=frozenset(map(plain_address, self.proxies)))

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a browser may have reached it by; others point here by DNS rebinding."""
        own = {self.host, *(("127.0.0.1", "localhost", "::1") if self.local else _addresses(self.host))}
        return frozenset(own | {name.lower() for name in self.names})

    @property
    def url(self) -> str:
        """Where a person opens it."""
        host = self.host
        if not self.local and ipaddress.ip_address(host).is_unspecified:
            host = _reached_by() or socket.gethostname()
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def _reached_by() -> str:
    """An address by which others reach this machine."""
    interfaces = psutil.net_if_addrs().values()
    addresses = [one.address for all_ in interfaces for one in all_ if one.family == socket.AF_INET]
    return next((address for address in addresses if not ipaddress.ip_address(address).is_loopback), "")


def _addresses(host: str) -> frozenset[str]:
    """What a server on all addresses of this machine is reached by."""
    if not ipaddress.ip_address(host).is_unspecified:
        return frozenset()
    found = {address.address.partition("%")[0] for all_ in psutil.net_if_addrs().values() for address in all_}
    return frozenset({*found, "localhost", socket.gethostname().lower()})
