"""NVIDIA's devices, through NVML."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from servelab.lab.accelerators.device import Device, Sample

NVLINK = 0  # nearer than any way over PCIe, whose levels NVML counts from 10 (one switch) to 50 (between sockets)


@cache
def nvml() -> Any:
    """The library, initialised once: that may take a second. None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def nvidia_devices() -> tuple[Device, ...]:
    """All devices that work, with what is in use of them and how near they are to each other."""
    library = nvml()
    if library is None:
        return ()
    working = list(_working(library))
    found = []
    for index, id_, handle in working:
        with contextlib.suppress(library.NVMLError):
            memory = _memory(library, handle)
            far = {other: _distance(library, handle, its_handle) for _, other, its_handle in working}
            found.append(Device(id_, index, library.nvmlDeviceGetName(handle), memory.total, memory.used, far))
    return tuple(found)


def nvidia_samples() -> dict[str, Sample]:
    """What each device that works does now."""
    library = nvml()
    found: dict[str, Sample] = {}
    for _, id_, handle in _working(library) if library else ():
        with contextlib.suppress(library.NVMLError):
            found[id_] = _sample(library, handle)
    return found


def _working(library: Any) -> Iterator[tuple[int, str, Any]]:
    """Index, UUID and handle of each device that has not fallen off the bus."""
    for index in range(library.nvmlDeviceGetCount()):
        try:
            handle = library.nvmlDeviceGetHandleByIndex(index)
            id_ = library.nvmlDeviceGetUUID(handle)
        except library.NVMLError:
            continue
        yield index, id_, handle


def _memory(library: Any, handle: Any) -> Any:
    """The second form leaves out what the driver reserves for itself; old drivers know only the first."""
    try:
        return library.nvmlDeviceGetMemoryInfo(handle, version=library.nvmlMemory_v2)
    except library.NVMLError:
        return library.nvmlDeviceGetMemoryInfo(handle)


def _distance(library: Any, one: Any, other: Any) -> int:
    with contextlib.suppress(library.NVMLError):
        linked = library.nvmlDeviceGetP2PStatus(one, other, library.NVML_P2P_CAPS_INDEX_NVLINK)
        if linked == library.NVML_P2P_STATUS_OK:
            return NVLINK
    with contextlib.suppress(library.NVMLError):
        return int(library.nvmlDeviceGetTopologyCommonAncestor(one, other))
    return int(library.NVML_TOPOLOGY_SYSTEM)


def _sample(library: Any, handle: Any) -> Sample:
    def asked(name: str, *arguments: Any) -> Any:
        try:
            return getattr(library, name)(handle, *arguments)
        except library.NVMLError:  # not every device tells everything
            return None

    rates, power = asked("nvmlDeviceGetUtilizationRates"), asked("nvmlDeviceGetPowerUsage")
    return Sample(
        used=_memory(library, handle).used,
        utilization=None if rates is None else rates.gpu / 100,
        power=None if power is None else power / 1000,
        temperature=asked("nvmlDeviceGetTemperature", library.NVML_TEMPERATURE_GPU),
    )
