"""The docker platform."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from servelab.catalog.containers import published_image
from servelab.platforms.base import Leftover, Tell, silent
from servelab.platforms.cores import engine_cores
from servelab.platforms.docker.config import ATTEMPT, OWNER, STUDY, TRIAL, container_config
from servelab.platforms.docker.connection import at_once, connected, meaning, open_client
from servelab.platforms.docker.examine import examine
from servelab.platforms.docker.image import have_image
from servelab.platforms.docker.options import DockerOptions
from servelab.platforms.docker.running import RunningContainer, remove
from servelab.platforms.logfile import open_log
from servelab.platforms.marked import identity, is_alive
from servelab.platforms.ports import free_port
from servelab.spec.base import Parameters
from servelab.spec.deployment import Address, Launch, Mark
from servelab.spec.errors import DeployError, MachineError
from servelab.spec.finding import Finding
from servelab.spec.model import EngineConfig, Model
from servelab.spec.options import read_options

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.containers import DockerContainer

EVERYWHERE = "0.0.0.0"  # noqa: S104 - of the container's own network; the port is published on loopback only


class DockerPlatform:
    """Starts engines in containers of this machine's Docker Engine, reached through its API."""

    name: ClassVar[str] = "docker"
    starts_engine: ClassVar[bool] = True
    sees_files: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(DockerOptions, options, self.name)

    def seen(self, model: Model, config: EngineConfig) -> tuple[Model, EngineConfig]:
        """The engine with its published image, where the study names none. Paths are mounted when it is started.

        Raises:
            DeployError: there is none.
        """
        image = config.image or published_image(config.name, config.version, config.resources.accelerators)
        if image is None:
            raise DeployError(f"no image of {config.name} is known", "Name one as engine.image in the study.")
        return model, config.model_copy(update={"image": image})

    def address(self) -> Address:
        """Every address of the container, at a port that is free on this machine's loopback now.

        Raises:
            MachineError: no port is free.
        """
        try:
            return Address(host=EVERYWHERE, port=free_port())
        except OSError as error:
            raise MachineError(f"no port is free: {error.strerror}") from error

    def manifest(self, launch: Launch, mark: Mark) -> None:
        """None: the container runs the command."""
        del launch, mark

    async def start(
        self, launch: Launch, mark: Mark, log: Path, parameters: Parameters, tell: Tell = silent
    ) -> RunningContainer:
        """Pull the image if it must be, and start a container.

        Raises:
            DiagnosedError: the image cannot be had.
            DeployError: Docker refuses the container.
            MachineError: Docker cannot be reached, or the machine lacks something.
            StoreError: its log cannot be written.
        """
        del parameters  # they are in the command
        cpus = engine_cores() if self._options.cpus is None else self._options.cpus
        config = container_config(launch, mark, identity(os.getpid()), self._options, cpus)
        open_log(log).close()  # what cannot be logged is not started
        docker = await open_client(self._options.host)
        try:
            await have_image(docker, launch.image or "", self._options, tell)
            tell("starting its container")
            container = await _started(docker, config, f"servelab-{mark.study}-{mark.trial}-{mark.attempt}")
            return RunningContainer(docker, container, launch, log, cpus)
        except BaseException:
            await docker.close()
            raise

    def leftovers(self, studies: Sequence[str]) -> list[Leftover]:
        """Containers, running or not, with the label of one of these studies and whose starter is dead.

        Raises:
            MachineError: the engine cannot be reached.
        """
        return at_once(self._leftovers(studies))

    async def _leftovers(self, studies: Sequence[str]) -> list[Leftover]:
        from aiodocker import DockerError

        async with connected(self._options.host) as docker:
            try:
                found = await docker.containers.list(all=True, filters=json.dumps({"label": [STUDY]}))
            except DockerError as error:
                raise meaning(error, "list containers") from error
        return [_leftover(one) for one in found if _is_left(one["Labels"], studies)]

    def remove(self, leftover: Leftover) -> None:
        """Remove the container by force, unless it is gone.

        Raises:
            MachineError: the engine cannot be reached.
        """
        at_once(self._remove(leftover))

    async def _remove(self, leftover: Leftover) -> None:
        from aiodocker import DockerError

        async with connected(self._options.host) as docker:
            try:
                await remove(docker.containers.container(leftover.id))
            except DockerError as error:
                raise meaning(error, f"remove {leftover.what}") from error

    def examine(self, accelerators: int = 0) -> Iterator[Finding]:
        """Socket, version, NVIDIA runtime and disk of the engine, and what is left over on it."""
        yield from at_once(examine(self._options, accelerators))


async def _started(docker: Docker, config: dict[str, Any], name: str) -> DockerContainer:
    """A new container that runs; nothing is left of one that cannot.

    Raises:
        DeployError: Docker refuses it.
    """
    from aiodocker import DockerError

    try:
        container = await docker.containers.create(config, name=name)
    except DockerError as error:
        raise meaning(error, f"create the container {name}") from error
    try:
        await container.start()
    except DockerError as error:
        await remove(container)
        raise meaning(error, f"start the container {name}") from error
    except BaseException:
        await remove(container)
        raise
    return container


def _is_left(labels: Mapping[str, str], studies: Sequence[str]) -> bool:
    return labels.get(STUDY) in studies and OWNER in labels and not is_alive(labels[OWNER])


def _leftover(container: DockerContainer) -> Leftover:
    labels = container["Labels"]
    mark = Mark(study=labels[STUDY], trial=int(labels[TRIAL]), attempt=int(labels[ATTEMPT]))
    return Leftover(mark=mark, what=f"container {container['Names'][0].removeprefix('/')}", id=container.id)
