"""Engines as processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from servelab.platforms.base import Leftover, Tell, silent
from servelab.platforms.child import RunningProcess
from servelab.platforms.cores import engine_cores
from servelab.platforms.environment import engine_environment
from servelab.platforms.marked import OWNER, identity, is_alive, kill, marked_processes
from servelab.platforms.ports import free_port
from servelab.platforms.spawn import spawn
from servelab.spec.base import Parameters, Spec
from servelab.spec.deployment import Address, Launch, Mark
from servelab.spec.errors import MachineError
from servelab.spec.finding import Finding
from servelab.spec.model import EngineConfig, Model
from servelab.spec.options import read_options


class ProcessOptions(Spec):
    """Options of the process platform."""

    cpus: tuple[int, ...] | None = Field(default=None, description="cores for the engine; default: all but the last")


class ProcessPlatform:
    """Starts engines in process groups of their own, on loopback, on cores of their own."""

    name: ClassVar[str] = "process"
    starts_engine: ClassVar[bool] = True
    sees_files: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(ProcessOptions, options, self.name)

    def seen(self, model: Model, config: EngineConfig) -> tuple[Model, EngineConfig]:
        """As they are: engines run beside us."""
        return model, config

    def address(self) -> Address:
        """A loopback port that is free now. Should another take it first, the engine's death says so.

        Raises:
            MachineError: no port is free.
        """
        try:
            return Address(port=free_port())
        except OSError as error:
            raise MachineError(f"no port is free: {error.strerror}") from error

    def manifest(self, launch: Launch, mark: Mark) -> None:
        """None: it starts the command itself."""
        del launch, mark

    async def start(
        self, launch: Launch, mark: Mark, log: Path, parameters: Parameters, tell: Tell = silent
    ) -> RunningProcess:
        """Start the engine's process.

        Raises:
            DeployError: there is no such program, it may not be run, or its cores are not there.
            MachineError: the machine has no room for another process.
            StoreError: its log cannot be written.
        """
        del parameters, tell  # they are in the command, and it starts at once
        cpus = engine_cores() if self._options.cpus is None else self._options.cpus
        owner = {OWNER: identity(os.getpid())}
        environment = engine_environment(launch) | mark.environment | owner
        child = spawn(launch.command, environment, log, cpus)
        return RunningProcess(child, launch, mark, log, cpus)

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

    def examine(self, accelerators: int = 0) -> Iterator[Finding]:
        """Which cores engines run on."""
        del accelerators
        cpus = engine_cores() if self._options.cpus is None else self._options.cpus
        where = f"cores {', '.join(map(str, cpus))}" if cpus else "any core"
        yield Finding("process", "ok", f"engines run on {where} of this machine")
