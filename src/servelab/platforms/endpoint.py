"""A server that runs already: loads vary, and parameters only where the user says how to apply them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from servelab.platforms.base import Exit, Leftover, Tell, silent
from servelab.platforms.logfile import open_log, tail
from servelab.platforms.marked import unmarked
from servelab.platforms.ready import answers
from servelab.spec.base import Parameters, Seconds, Spec
from servelab.spec.deployment import Address, Launch, Mark
from servelab.spec.errors import DeployError, MachineError, UnreachableError, is_exhaustion
from servelab.spec.finding import Finding
from servelab.spec.model import EngineConfig, Model
from servelab.spec.options import read_options

LOOK = 0.5  # seconds between looks at an endpoint that is not ready


def check_url(url: str) -> str:
    """Let an http(s) URL without credentials through.

    Raises:
        ValueError: it is not one.
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("a URL with credentials would be stored; set SERVELAB_API_KEY in the environment instead")
    try:
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or too large for one
        valid = False
    if not valid:
        raise ValueError(f"{url!r} is not an http:// or https:// URL")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(check_url)]


class EndpointOptions(Spec):
    """Options of the endpoint platform."""

    url: Url = Field(description="base URL, without /v1")
    ready_path: str = Field(default="/health", description="answers 200 when the server is ready")
    apply_command: tuple[str, ...] = Field(
        default=(),
        description="program and arguments that bring a trial's parameters into force; it reads them as JSON "
        "from standard input, and as SERVELAB_PARAMETER_<NAME> from its environment",
    )
    apply_timeout: Annotated[Seconds, Field(gt=0)] = 600.0


class EndpointPlatform:
    """Somebody else's server."""

    name: ClassVar[str] = "endpoint"
    starts_engine: ClassVar[bool] = False
    sees_files: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(EndpointOptions, options, self.name)

    def seen(self, model: Model, config: EngineConfig) -> tuple[Model, EngineConfig]:
        """As they are: nothing is started."""
        return model, config

    def address(self) -> Address:
        """The endpoint's own address."""
        parts = urlsplit(self._options.url)
        return Address(host=parts.hostname or "", port=parts.port or (443 if parts.scheme == "https" else 80))

    def manifest(self, launch: Launch, mark: Mark) -> None:
        """None: nothing is started."""
        del launch, mark

    async def start(
        self, launch: Launch, mark: Mark, log: Path, parameters: Parameters, tell: Tell = silent
    ) -> RunningEndpoint:
        """Bring the parameters into force, if there are any.

        Raises:
            DeployError: there are, and no way is given; or the user's command failed.
            StoreError: the command's log cannot be written.
        """
        del launch, mark, tell  # the command may start a server, and that is the user's
        if self._options.apply_command:
            await self._apply(log, parameters)
        elif parameters:
            raise DeployError(
                "this endpoint runs already, and the study does not say how to change its parameters",
                "Give platform.options.apply_command, or leave only loads to vary.",
            )
        return RunningEndpoint(self._options.url, self._options.url + self._options.ready_path, log)

    async def _apply(self, log: Path, parameters: Parameters) -> None:
        command = self._options.apply_command
        named = {f"SERVELAB_PARAMETER_{name.upper()}": str(value) for name, value in parameters.items()}
        with open_log(log) as sink:
            try:
                child = await asyncio.create_subprocess_exec(
                    *command,
                    env=unmarked(os.environ) | named,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=sink,
                    stderr=sink,
                )
            except OSError as error:
                said = f"cannot run {command[0]}: {error.strerror}"
                if is_exhaustion(error):
                    raise MachineError(said) from error
                raise DeployError(said, "Mend apply_command.") from error
        try:
            async with asyncio.timeout(self._options.apply_timeout):
                await child.communicate(json.dumps(parameters).encode())
        except TimeoutError:
            raise DeployError(
                f"{command[0]} did not end within {self._options.apply_timeout:g} s", "Raise apply_timeout, or mend it."
            ) from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            last = tail(log, 1)
            raise DeployError(f"{command[0]} exited with {child.returncode}: {last}", "See the trial's log.")

    def leftovers(self, studies: Sequence[str]) -> list[Leftover]:
        """None: nothing was started."""
        del studies
        return []

    def remove(self, leftover: Leftover) -> None:
        """Nothing: nothing was started."""

    def examine(self, accelerators: int = 0) -> Iterator[Finding]:
        """Whether the endpoint answers."""
        del accelerators
        url = self._options.url + self._options.ready_path
        if asyncio.run(answers(url)):
            yield Finding("endpoint", "ok", f"{url} answers")
            return
        remedy = "Check that the server runs and the URL is right; ready_path names its health check."
        yield Finding("endpoint", "problem", f"{url} does not answer with 200", remedy)


class RunningEndpoint:
    """An endpoint, as a running engine."""

    pid: int | None = None
    cpus: tuple[int, ...] = ()
    service: str | None = None

    def __init__(self, url: str, ready_url: str, log: Path) -> None:
        self.url = url
        self.log: Path | None = log
        self._log = log
        self._ready_url = ready_url

    async def wait_ready(self, timeout: float) -> None:
        """Return when the endpoint answers on its ready path.

        Raises:
            DeployError: it did not in time.
        """
        try:
            async with asyncio.timeout(timeout):
                while not await answers(self._ready_url):
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise UnreachableError(
                f"{self._ready_url} did not answer with 200 within {timeout:g} s",
                "Check that the server runs and the URL is right; platform.options.ready_path names its health check.",
            ) from None

    async def wait_exit(self) -> Exit:
        """Never returns: an endpoint's end shows in its requests."""
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    def log_tail(self, lines: int = 50) -> str:
        """What the apply command printed."""
        return tail(self._log, lines)

    async def stop(self, timeout: float) -> None:
        """Nothing: the server is not ours to stop."""
        del timeout
