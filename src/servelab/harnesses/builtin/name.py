"""A server's name and its addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from time import perf_counter
from typing import Literal

TIMEOUT = 10.0  # seconds


LookupKind = Literal["resolve_failed", "resolve_timeout"]


class LookupFailed(Exception):
    """The name has no address."""

    def __init__(self, kind: LookupKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Name:
    """Looks a name up once for all connections, so that a slow name server delays the first of them and no other."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._looking: asyncio.Task[Sequence[str]] | None = None

    async def addresses(self) -> Sequence[str]:
        """Its addresses, in the order in which to try them; all that ask at the same time wait for one look-up.

        Raises:
            LookupFailed: there is none, or no answer in time. The next who asks looks again.
        """
        began = perf_counter()
        if self._looking is None:
            self._looking = asyncio.ensure_future(asyncio.to_thread(_look_up, self._host, self._port))
        try:
            async with asyncio.timeout(TIMEOUT):
                return await asyncio.shield(self._looking)
        except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
            self._looking = None
            late = isinstance(error, TimeoutError)
            detail = f"{self._host}: {'no answer' if late else error} ({perf_counter() - began:.1f} s)"
            raise LookupFailed("resolve_timeout" if late else "resolve_failed", detail) from None


def _look_up(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
