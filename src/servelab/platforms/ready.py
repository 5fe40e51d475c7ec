"""Ask a server whether it is ready."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from urllib.parse import urlsplit

PATIENCE = 5.0  # seconds for one answer
FIRST_LOOK = 0.02  # seconds between looks at the ready path: at first, and at most
SLOWEST_LOOK = 0.25


async def ready_unless(ended: asyncio.Event, url: str, timeout: float) -> bool:
    """Whether the server answers at ``url`` before it has ended.

    Raises:
        TimeoutError: neither happened within ``timeout`` seconds.
    """
    pause = FIRST_LOOK
    async with asyncio.timeout(timeout):
        while not ended.is_set():
            if await answers(url):
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), pause)
            pause = min(SLOWEST_LOOK, pause * 1.5)
    return False


async def answers(url: str) -> bool:
    """Whether a plain-HTTP GET of ``url`` is answered with 200 in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await _status(url) == HTTPStatus.OK
    except (OSError, TimeoutError, ValueError, EOFError):
        return False


async def _status(url: str) -> int:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    reader, writer = await asyncio.open_connection(host, parts.port or (443 if secure else 80), ssl=secure or None)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        line = await reader.readline()
        return int(line.split()[1]) if len(line.split()) > 1 else 0
    finally:
        writer.close()
