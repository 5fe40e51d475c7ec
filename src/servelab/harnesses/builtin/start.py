"""When requests begin to count: at once for a process alone, else when all processes are ready."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable
from time import perf_counter


class Start:
    """The moment from which requests count, on ``time.perf_counter``, which processes of a machine share.

    ``tell`` says that this process is ready; None where it is alone.
    """

    def __init__(self, tell: Callable[[], None] | None = None) -> None:
        self.at = math.inf
        self._tell = tell
        self._waiting: asyncio.Task[None] | None = None

    def ready(self) -> None:
        """Have the moment decided: now, or by servelab, which writes it to standard input."""
        if self._tell is None:
            self.at = perf_counter()
        else:
            self._tell()
            self._waiting = asyncio.ensure_future(self._listen())

    async def wait(self) -> None:
        """Wait until the moment is known and has come."""
        if self._waiting is not None:
            await self._waiting
        await asyncio.sleep(max(0.0, self.at - perf_counter()))

    async def _listen(self) -> None:
        self.at = float(await asyncio.to_thread(sys.stdin.readline))
