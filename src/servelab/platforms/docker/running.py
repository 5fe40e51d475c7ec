"""An engine that runs in a container."""

from __future__ import annotations

import asyncio
import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from servelab.platforms.base import Exit, ExitedError
from servelab.platforms.docker.connection import meaning
from servelab.platforms.logfile import cap, open_log, tail
from servelab.platforms.ready import ready_unless
from servelab.spec.deployment import Launch

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.containers import DockerContainer

GONE = (404, 409)  # no such container; its removal is under way already
LOG_PATIENCE = 5.0  # seconds for the rest of the log of a container that has ended
LOG_CHECK = 4 * 1024 * 1024  # bytes between looks at the size of the log
LOOK = 1.0  # seconds between looks at a container whose end the engine does not tell
SIGNALLED = 128  # an exit code above is that of a shell: 128 and the signal


class RunningContainer:
    """A started container; its log comes to a file as it is written."""

    service: str | None = None
    pid: int | None = None  # of another PID namespace, perhaps another machine's

    def __init__(
        self, docker: Docker, container: DockerContainer, launch: Launch, log: Path, cpus: tuple[int, ...]
    ) -> None:
        self.url = f"http://127.0.0.1:{launch.address.port}"
        self.cpus = cpus
        self.log: Path | None = log
        self._log = log
        self._docker = docker
        self._container = container
        self._ready_url = self.url + launch.ready_path
        self._code: int | None = None
        self._ended = asyncio.Event()
        self._logging = asyncio.ensure_future(self._keep_log())
        self._watching = asyncio.ensure_future(self._watch())

    async def wait_ready(self, timeout: float) -> None:
        """Return when the engine answers on its ready path.

        Raises:
            ExitedError: it ended first.
            TimeoutError: it was not ready in time.
        """
        if not await ready_unless(self._ended, self._ready_url, timeout):
            raise ExitedError(await self.wait_exit())

    async def wait_exit(self) -> Exit:
        """Return when the engine has ended by itself, and all of its log is here."""
        await self._ended.wait()
        await asyncio.wait((self._logging,), timeout=LOG_PATIENCE)
        return Exit(code=self._code, log_tail=self.log_tail())

    def log_tail(self, lines: int = 50) -> str:
        """The last lines of the log."""
        return tail(self._log, lines)

    async def stop(self, timeout: float) -> None:
        """End the engine and remove its container: SIGTERM first, and SIGKILL after ``timeout`` seconds.

        Raises:
            DeployError: Docker does not remove it; it is found again as a leftover.
        """
        if self._docker.session.closed:
            return
        from aiodocker import DockerError

        try:
            with contextlib.suppress(DockerError, aiohttp.ClientError):
                await self._container.stop(t=math.ceil(timeout))
            await asyncio.wait((self._logging,), timeout=LOG_PATIENCE)
            await remove(self._container)
        except DockerError as error:
            raise meaning(error, "remove the engine's container") from error
        finally:
            for task in (self._logging, self._watching):
                task.cancel()
            await asyncio.gather(self._logging, self._watching, return_exceptions=True)
            await self._docker.close()

    async def _watch(self) -> None:
        while not self._ended.is_set():
            state = await self._state()
            if state is None or not state.get("Running"):
                self._code = None if state is None else exit_code(state)
                self._ended.set()

    async def _state(self) -> dict[str, Any] | None:
        """Its state once it has ended, or after a while; None when it is no longer there."""
        from aiodocker import DockerError

        try:
            await self._container.wait(condition="not-running")
        except (DockerError, aiohttp.ClientError, ValueError):  # the engine was restarted, or it has been removed
            await asyncio.sleep(LOOK)
        try:
            return dict((await self._container.show())["State"])
        except DockerError as error:
            return None if error.status in GONE else {"Running": True}
        except aiohttp.ClientError:
            return {"Running": True}

    async def _keep_log(self) -> None:
        """Append to the log what the engine writes, as it does, and keep it from filling the disk."""
        from aiodocker import DockerError

        unchecked = 0
        with open_log(self._log) as sink, contextlib.suppress(DockerError, aiohttp.ClientError):
            async for text in self._container.log(stdout=True, stderr=True, follow=True):
                written = text.encode()
                sink.write(written)
                sink.flush()
                unchecked += len(written)
                if unchecked > LOG_CHECK:
                    unchecked = 0
                    cap(self._log)


def exit_code(state: dict[str, Any]) -> int:
    """The code of an ended container as this machine would say it: negative for a signal."""
    code = int(state.get("ExitCode") or 0)
    if state.get("OOMKilled"):
        return -9
    return SIGNALLED - code if SIGNALLED < code < SIGNALLED + 65 else code


async def remove(container: DockerContainer) -> None:
    """Remove a container by force, with its anonymous volumes, unless it is gone."""
    from aiodocker import DockerError

    try:
        await container.delete(force=True, v=True)
    except DockerError as error:
        if error.status not in GONE:
            raise
