"""What a deployment's devices did while it was measured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import fmean

from servelab.lab.accelerators.device import Device, Sample
from servelab.lab.accelerators.discovery import local_accelerators, samples
from servelab.spec.report import AcceleratorUse

EVERY = 1.0  # seconds


@asynccontextmanager
async def watched(devices: Sequence[str]) -> AsyncIterator[list[AcceleratorUse]]:
    """Sample devices while the block runs; the list is filled at its end."""
    found: list[AcceleratorUse] = []
    if not devices:
        yield found
        return
    known = {device.id: device for device in await asyncio.to_thread(local_accelerators)}
    series: dict[str, list[Sample]] = {device: [] for device in devices if device in known}
    watching = asyncio.ensure_future(_watch(series))
    try:
        yield found
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        found += [_use(known[device], taken) for device, taken in series.items() if taken]


async def _watch(series: dict[str, list[Sample]]) -> None:
    while True:
        now = await asyncio.to_thread(samples)
        for device, taken in series.items():
            if device in now:
                taken.append(now[device])
        await asyncio.sleep(EVERY)


def _use(device: Device, taken: list[Sample]) -> AcceleratorUse:
    busy = [one.utilization for one in taken if one.utilization is not None]
    power = [one.power for one in taken if one.power is not None]
    heat = [one.temperature for one in taken if one.temperature is not None]
    return AcceleratorUse(
        id=device.id,
        name=device.name,
        samples=len(taken),
        memory=device.memory,
        memory_used_max=max(one.used for one in taken),
        utilization=fmean(busy) if busy else None,
        power=fmean(power) if power else None,
        temperature_max=max(heat) if heat else None,
    )
