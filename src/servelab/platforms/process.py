"""Engines as processes of this machine."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from servelab.platforms.base import Leftover
from servelab.platforms.child import RunningProcess
from servelab.platforms.cores import engine_cores
from servelab.platforms.environment import engine_environment
from servelab.platforms.marked import OWNER, identity, is_alive, kill, marked_processes
from servelab.spec.base import Parameters, Spec
from servelab.spec.deployment import Address, Launch, Mark
from servelab.spec.errors import DeployError
from servelab.spec.options import read_options


class ProcessOptions(Spec):
    """Options of the process platform."""

    cpus: tuple[int, ...] | None = Field(default=None, description="cores for the engine; default: all but the last")


class ProcessPlatform:
    """Starts engines in process groups of their own, on loopback, on cores of their own."""

    name: ClassVar[str] = "process"
    starts_engine: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(ProcessOptions, options, self.name)

    def address(self) -> Address:
        """A loopback port that is free now. Should another take it first, the engine's death says so."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return Address(port=probe.getsockname()[1])

    async def start(self, launch: Launch, mark: Mark, log: Path, parameters: Parameters) -> RunningProcess:
        """Start the engine's process.

        Raises:
            DeployError: there is no such program, it may not be run, or its log cannot be written.
        """
        del parameters  # they are in the command
        cpus = engine_cores() if self._options.cpus is None else self._options.cpus
        owner = {OWNER: identity(os.getpid())}
        environment = engine_environment(launch) | mark.environment | owner
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as sink:
                child = await asyncio.create_subprocess_exec(
                    *launch.command,
                    env=environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                    start_new_session=True,
                )
        except (FileNotFoundError, PermissionError) as error:
            raise DeployError(
                f"cannot start {launch.command[0]}: {error.strerror}",
                "Install the engine, or name its program in engine.executable.",
            ) from error
        except OSError as error:
            raise DeployError(
                f"cannot start the engine with its log at {log}: {error.strerror}",
                "Free some space, or set SERVELAB_HOME to another place.",
            ) from error
        try:
            bound = _bind(child.pid, cpus)
        except DeployError:
            child.kill()
            await child.wait()
            raise
        return RunningProcess(child, launch, mark, log, bound)

    def leftovers(self, studies: Sequence[str]) -> list[Leftover]:
        """Processes that carry the mark of one of these studies and whose starter is dead."""
        return [
            Leftover(mark=found.mark, what=f"process {found.pid} ({found.command})", id=found.start)
            for found in marked_processes()
            if found.mark.study in studies and not is_alive(found.owner)
        ]

    def remove(self, leftover: Leftover) -> None:
        """End it by force, unless it is gone."""
        for found in marked_processes():
            if found.start == leftover.id:
                kill(found)


def _bind(pid: int, cpus: tuple[int, ...]) -> tuple[int, ...]:
    """Bind a process, with the threads it will start, to these cores; the cores it is bound to."""
    if not cpus:
        return ()
    try:
        os.sched_setaffinity(pid, cpus)
    except ProcessLookupError:
        return ()  # it died at once, which the ready check will find
    except OSError as error:
        raise DeployError(
            f"cannot bind the engine to cores {cpus}: {error.strerror}", "Mend platform.options.cpus."
        ) from error
    return cpus
