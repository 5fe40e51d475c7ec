"""An engine that runs as our child process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from subprocess import Popen

from servelab.platforms.base import Exit, ExitedError
from servelab.platforms.logfile import cap, tail
from servelab.platforms.marked import KILL_WAIT, identity, kill, marked_processes
from servelab.platforms.proc import group_end, process_end
from servelab.platforms.ready import ready_unless
from servelab.spec.deployment import Launch, Mark

LOG_CHECK = 10.0  # seconds between looks at the size of the log


class RunningProcess:
    """An engine in a process group of its own."""

    service: str | None = None

    def __init__(self, child: Popen[bytes], launch: Launch, mark: Mark, log: Path, cpus: tuple[int, ...]) -> None:
        self.url = launch.address.url
        self.pid: int | None = child.pid
        self.cpus = cpus
        self.log: Path | None = log
        self._log = log
        self._child = child
        self._ready_url = launch.address.url + launch.ready_path
        self._mark = mark
        self._capping = asyncio.ensure_future(self._cap_log())
        self._ended = asyncio.Event()
        self._watching = asyncio.ensure_future(self._watch())

    async def wait_ready(self, timeout: float) -> None:
        """Return when the engine answers on its ready path.

        Raises:
            ExitedError: it ended first.
            TimeoutError: it was not ready in time.
        """
        if not await ready_unless(self._ended, self._ready_url, timeout):
            raise ExitedError(self._exit())

    async def wait_exit(self) -> Exit:
        """Return when the engine has ended by itself."""
        await self._ended.wait()
        return self._exit()

    def log_tail(self, lines: int = 50) -> str:
        """The last lines of the log."""
        return tail(self._log, lines)

    async def stop(self, timeout: float) -> None:
        """End the engine and everything it started: asked first, and by force after ``timeout`` seconds."""
        self._capping.cancel()
        for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, KILL_WAIT)):
            self._signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._group_end(), patience)
        await self._ended.wait()
        await asyncio.to_thread(self._kill_strays)

    async def _watch(self) -> None:
        while self._child.poll() is None:
            await process_end(self._child.pid)
        self._ended.set()

    async def _group_end(self) -> None:
        """Return when the engine has ended, and with it the workers it started, which may take longer."""
        await self._ended.wait()
        await group_end(self._child.pid)

    def _kill_strays(self) -> None:
        """End what left the process group; it still carries the mark of this attempt."""
        for found in marked_processes():
            if found.mark == self._mark and found.pid != os.getpid() and _ours(found.owner):
                kill(found)

    def _signal(self, number: signal.Signals) -> None:
        # The group outlives its leader while a member lives; none left is what we want.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    def _exit(self) -> Exit:
        return Exit(code=self._child.returncode, log_tail=self.log_tail())

    async def _cap_log(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK)
            await asyncio.to_thread(cap, self._log)


def _ours(owner: str) -> bool:
    return owner == identity(os.getpid())
