"""What a platform is to servelab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from servelab.spec.base import Parameters, Spec
from servelab.spec.deployment import Address, Failure, Launch, Mark
from servelab.spec.finding import Finding
from servelab.spec.model import EngineConfig, Model
from servelab.spec.plugins import load_plugin


class Leftover(Spec):
    """Something of a study that still runs though nobody waits for it."""

    mark: Mark
    what: str
    id: str


class Exit(Spec):
    """How a deployment ended: ``code`` is negative for a signal, None when unknown."""

    code: int | None
    log_tail: str


Tell = Callable[[str], object]
"""Is told what a platform waits for, in a line for people: a download, a place to run, a pod."""


def silent(text: str) -> None:
    """Tell nobody."""
    del text


class Running(Protocol):
    """An engine that a platform has started."""

    url: str
    pid: int | None
    cpus: tuple[int, ...]
    log: Path | None
    service: str | None
    """``namespace/name`` of the InferenceService that it is; None on other platforms."""

    async def wait_ready(self, timeout: float) -> None:
        """Return when the engine answers on its ready path.

        Raises:
            ExitedError: it ended first; carries the Exit.
            DiagnosedError: it never will be, and the platform knows why.
            TimeoutError: it was not ready after ``timeout`` seconds.
        """
        ...

    async def wait_exit(self) -> Exit:
        """Return when the engine has ended by itself (used beside a measurement)."""
        ...

    def log_tail(self, lines: int = 50) -> str:
        """The last lines of its log."""
        ...

    async def stop(self, timeout: float) -> None:
        """End it with all it started: gracefully, and by force after ``timeout`` seconds.

        Idempotent; leaves no process.
        """
        ...


class ExitedError(Exception):
    """The engine ended before it was ready."""

    def __init__(self, exit: Exit) -> None:
        super().__init__(f"the engine exited with code {exit.code}")
        self.exit = exit


class DiagnosedError(Exception):
    """The engine cannot become ready, for a reason that the platform knows and its log does not tell."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Platform(Protocol):
    """Turns a Launch into a running engine and finds what a crash left behind."""

    name: ClassVar[str]
    starts_engine: ClassVar[bool]
    """False for ``endpoint``: the engine is somebody else's, and only loads vary."""

    sees_files: ClassVar[bool]
    """Whether engines see the files of this machine; else a model on its disk is of no use to them."""

    def seen(self, model: Model, config: EngineConfig) -> tuple[Model, EngineConfig]:
        """Model and engine as they are where this platform starts engines: other paths, another image."""
        ...

    def address(self) -> Address:
        """Where the next engine is to listen: a port that is free now, and was not handed out lately.

        Raises:
            MachineError: there is none.
        """
        ...

    def manifest(self, launch: Launch, mark: Mark) -> Mapping[str, Any] | None:
        """The object that ``start`` would apply to a cluster; None where a launch is a command and nothing else.

        Raises:
            DeployError: the study asks for what has no place in a cluster.
        """
        ...

    async def start(
        self, launch: Launch, mark: Mark, log: Path, parameters: Parameters, tell: Tell = silent
    ) -> Running:
        """Start the engine; does not wait until it is ready, and passes ``tell`` on to what does.

        Raises:
            DeployError: it cannot be started (no such program, no permission).
            MachineError: the machine has no room for it, which says nothing of its configuration.
            StoreError: its log cannot be written.
        """
        ...

    def leftovers(self, studies: Sequence[str]) -> list[Leftover]:
        """What carries the mark of one of these studies (ids) and is not ours to wait for."""
        ...

    def remove(self, leftover: Leftover) -> None:
        """End it, by force if it must be."""
        ...

    def examine(self, accelerators: int = 0) -> Iterator[Finding]:
        """Check that engines of so many accelerators each can be started, quick checks first; changes nothing."""
        ...


def platform(name: str, options: Mapping[str, Any]) -> Platform:
    """The platform called ``name``, with its options.

    Raises:
        NotFoundError: no plug-in of that name.
        DocumentError: an option is unknown or wrong.
    """
    return cast(Platform, load_plugin("servelab.platforms", name)(options))
