"""What a server that somebody else started says of itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import aiohttp

PATIENCE = aiohttp.ClientTimeout(total=5.0)
LONGEST = 1 << 16  # bytes of an answer


@dataclass(frozen=True)
class Said:
    """Its version, where it tells it; and that it is simulated, where it is."""

    version: str | None = None
    simulated: bool = False


async def ask_version(url: str) -> Said:
    """What ``GET /version`` tells, as vLLM has it and the simulated engine; nothing where there is no such answer."""
    try:
        async with aiohttp.ClientSession(timeout=PATIENCE) as session, session.get(f"{url}/version") as answer:
            if answer.status != 200:
                return Said()
            data = json.loads(await _body(answer.content))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError):
        return Said()
    if not isinstance(data, dict):
        return Said()
    version = data.get("version")
    return Said(version[:100] if isinstance(version, str) else None, data.get("simulated") is True)


async def _body(content: aiohttp.StreamReader) -> bytes:
    """The beginning of an answer, in however many pieces it comes."""
    try:
        return await content.readexactly(LONGEST)
    except asyncio.IncompleteReadError as error:
        return error.partial
