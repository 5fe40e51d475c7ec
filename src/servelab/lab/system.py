"""What servelab is and has on this machine: versions, directories, accelerators and who holds them, workers."""

from __future__ import annotations

import platform
import shutil
import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field

from servelab import __version__
from servelab.engines.base import engine
from servelab.harnesses.external.environments import find
from servelab.harnesses.external.recipes import RECIPES
from servelab.lab.accelerators.discovery import local_accelerators, samples
from servelab.lab.identity import is_dead
from servelab.lab.paths import data_directory
from servelab.spec.base import Spec
from servelab.spec.model import EngineConfig
from servelab.spec.paths import cache_directory
from servelab.spec.plugins import plugin_names
from servelab.store.store import Store

PACKAGES = ("nicegui", "fastapi", "pydantic", "sqlalchemy", "optuna", "numpy", "scipy", "aiohttp", "xllamacpp")
"""Those whose version explains most of what may differ between two machines."""


class Versions(Spec):
    """What runs here; engines and harnesses that are not installed are None."""

    servelab: str
    python: str
    machine: str = Field(description="operating system and processor")
    engines: dict[str, str | None]
    harnesses: dict[str, str | None]
    packages: dict[str, str]


class DataDirectory(Spec):
    """A place where servelab keeps files, and the disk that it is on; bytes."""

    holds: str
    path: str
    free: int
    total: int


class Accelerator(Spec):
    """A device of this machine; memory in bytes. ``study`` is None where no trial holds it."""

    index: int
    name: str
    memory: int
    used: int
    utilization: float | None = Field(None, description="share of the time that it worked; null: not told")
    study: str | None = None
    trial: int | None = None


class Worker(Spec):
    """A process that has claimed a trial."""

    machine: str
    pid: int
    study: str
    trial: int
    silent: float | None = Field(description="seconds since its last sign of life; None when its lease has run out")
    dead: bool = Field(description="whether it is known to have ended; its trial is given to another")


class System(Spec):
    """All of it."""

    store: str = Field(description="where the store is, without a password")
    versions: Versions
    directories: tuple[DataDirectory, ...]
    accelerators: tuple[Accelerator, ...]
    workers: tuple[Worker, ...]


def system(store: Store) -> System:
    """What there is now."""
    return System(
        store=store.location,
        versions=versions(),
        directories=tuple(directories()),
        accelerators=tuple(accelerators(store)),
        workers=tuple(workers(store)),
    )


def versions() -> Versions:
    """What runs here, and in which version."""
    return Versions(
        servelab=__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.release()} {platform.machine()}",
        engines={name: engine(name).version(EngineConfig(name=name)) for name in plugin_names("servelab.engines")},
        harnesses={name: found.version if (found := find(recipe)) else None for name, recipe in RECIPES.items()},
        packages=dict(_packages()),
    )


def _packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def directories() -> Iterator[DataDirectory]:
    """Where files are kept."""
    places = (
        ("studies, logs, records", data_directory()),
        ("models, harnesses", cache_directory()),
    )
    for holds, path in places:
        existing: Path = next(one for one in (path, *path.parents) if one.exists())
        disk = shutil.disk_usage(existing)
        yield DataDirectory(holds=holds, path=str(path), free=disk.free, total=disk.total)


def accelerators(store: Store) -> Iterator[Accelerator]:
    """The devices of this machine, and the trials that hold them."""
    held = {lease.device: lease for lease in store.leases()}
    now = samples()
    for device in local_accelerators():
        lease = held.get(f"{socket.gethostname()}/{device.id}")
        yield Accelerator(
            index=device.index,
            name=device.name,
            memory=device.memory,
            used=device.used,
            utilization=now[device.id].utilization if device.id in now else None,
            study=lease.study if lease else None,
            trial=lease.trial if lease else None,
        )


def workers(store: Store) -> Iterator[Worker]:
    """Who works on what, on this machine and on others that share the store."""
    for claim in store.claims():
        machine, pid, _, _ = claim.worker.rsplit("/", 3)
        yield Worker(
            machine=machine,
            pid=int(pid),
            study=claim.study,
            trial=claim.trial,
            silent=claim.silent,
            dead=is_dead(claim.worker),
        )
