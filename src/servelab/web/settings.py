"""How the page server is run."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Self

import psutil

from servelab.lab.paths import data_directory
from servelab.spec.errors import ServelabError
from servelab.web.tokens import Tokens


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

    def checked(self) -> Self:
        """These settings.

        Raises:
            ServelabError: they make no sense.
        """
        try:
            named = [self.host] if self.host != "localhost" else []
            for address in (*named, *self.proxies):
                ipaddress.ip_address(address)
        except ValueError as error:
            raise ServelabError(str(error), "Give addresses as numbers, as 127.0.0.1 or 0.0.0.0.") from None
        if bool(self.user_header) != bool(self.proxies):
            raise ServelabError(
                "a header that names a person is believed of known proxies only",
                "Give --user-header and --proxy together.",
            )
        return self

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a browser may have reached it by; others point here by DNS rebinding."""
        own = {"127.0.0.1", "localhost", "::1"} if self.local else {self.host, *_addresses(self.host)}
        return frozenset(own | {name.lower() for name in self.names})

    @property
    def url(self) -> str:
        """Where a person opens it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def _addresses(host: str) -> frozenset[str]:
    """What a server on all addresses of this machine is reached by."""
    if not ipaddress.ip_address(host).is_unspecified:
        return frozenset()
    found = {address.address.partition("%")[0] for all_ in psutil.net_if_addrs().values() for address in all_}
    return frozenset({*found, "localhost", socket.gethostname().lower()})
