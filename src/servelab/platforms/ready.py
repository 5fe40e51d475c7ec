"""Ask a server whether it is ready."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

PATIENCE = 5.0  # seconds for one answer


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
