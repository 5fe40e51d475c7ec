"""Lease devices for a trial, from those that nobody uses."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence

from servelab.lab.accelerators.device import Device
from servelab.lab.accelerators.discovery import local_accelerators
from servelab.lab.accelerators.topology import neighbours
from servelab.spec.errors import DeployError, MachineError
from servelab.store.store import Store

POLL = 0.5  # seconds between looks for devices that have become free
GRACE = 20.0  # seconds for a driver to free the memory of an engine that has ended


async def lease(
    store: Store, study: str, trial: int, worker: str, count: int, tell: Callable[[str], object]
) -> tuple[str, ...]:
    """The ids of ``count`` devices that nobody uses, leased; empty where this machine has none, or none are needed.

    Waits while other trials hold what is missing. Near neighbours are taken first.

    Raises:
        DeployError: this machine does not have so many.
        MachineError: what is missing is used by programs that are not servelab's.
    """
    devices = await asyncio.to_thread(local_accelerators) if count else ()
    if devices and count > len(devices):
        raise DeployError(
            f"it takes {count} accelerators, and this machine has {len(devices)}",
            "Lower its parallelism, or run on a machine that has them.",
        )
    patience = time.monotonic() + GRACE
    told = ""
    while devices:
        here = {f"{socket.gethostname()}/{device.id}": device for device in devices}
        held = store.acquire_devices(
            study,
            trial,
            worker,
            tuple(name for name, device in here.items() if device.free),
            count,
            lambda free, wanted, here=here: _nearest(here, free, wanted),  # type: ignore[misc]
        )
        if held is not None:
            return tuple(here[name].id for name in held)
        leased = store.leased_devices()
        foreign = [device for name, device in here.items() if not device.free and name not in leased]
        if count > len(devices) - len(foreign) and time.monotonic() > patience:
            raise _taken(count, len(devices), foreign)
        waiting = f"waits for {count} of {len(devices)} accelerators: {len(leased & set(here))} are leased to trials"
        if waiting != told:
            tell(told := waiting)
        await asyncio.sleep(POLL)
        devices = await asyncio.to_thread(local_accelerators)
    return ()


def _nearest(here: dict[str, Device], free: Sequence[str], count: int) -> tuple[str, ...]:
    chosen = neighbours([here[name] for name in free], count)
    return tuple(name for name in free if here[name] in chosen)


def _taken(count: int, all_: int, foreign: Sequence[Device]) -> MachineError:
    users = "; ".join(str(device) for device in foreign)
    return MachineError(
        f"it takes {count} accelerators, and {len(foreign)} of {all_} are used by others ({users})",
        "End what uses them (nvidia-smi shows it), or take what is free: lower the parallelism, or name devices in "
        "CUDA_VISIBLE_DEVICES; then: servelab resume",
    )
