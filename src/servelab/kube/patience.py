"""How long to keep trying while a cluster cannot be reached."""

from __future__ import annotations

import asyncio
import time

from servelab.kube.errors import ForbiddenError, MissingError, RefusedError, UnreachableError
from servelab.spec.errors import ClusterError

FIRST_PAUSE = 0.25  # seconds, doubled at each try
LONGEST_PAUSE = 10.0  # seconds
SETTLING = 30.0  # seconds in which a restarted API server may deny what it will grant: it reads its rules only then


class Patience:
    """Waits ever longer between tries, and gives up after ``seconds`` without success."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._failing_since: float | None = None
        self._pause = FIRST_PAUSE
        self._succeeded = False

    def succeeded(self) -> None:
        """The cluster answered."""
        self._failing_since, self._pause, self._succeeded = None, FIRST_PAUSE, True

    async def wait(self, error: ClusterError) -> None:
        """Wait before the next try.

        Raises:
            ClusterError: ``error``, when another try would be in vain or has been put off for too long.
        """
        now = time.monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        elapsed = now - self._failing_since
        if elapsed > self._seconds or not (_transient(error) or self._settling(error, elapsed)):
            raise error
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _settling(self, error: ClusterError, elapsed: float) -> bool:
        return self._succeeded and elapsed < SETTLING and isinstance(error, (MissingError, ForbiddenError))


def _transient(error: ClusterError) -> bool:
    return isinstance(error, UnreachableError) or (isinstance(error, RefusedError) and error.transient)
