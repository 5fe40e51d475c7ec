"""NVIDIA's devices, through NVML."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from servelab.lab.accelerators.device import Device, Sample

NVLINK = 0  # nearer than any way over PCIe, whose levels NVML counts from 10 (one switch) to 50 (between sockets)


@contextlib.contextmanager
def nvml() -> Iterator[Any]:
    """The library, initialised; None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def nvidia_devices() -> tuple[Device, ...]:
    """All devices of the driver, with what is in use of them and how near they are to each other."""
    with nvml() as library:
        if library is None:
            return ()
        handles = list(_handles(library))
        ids = [library.nvmlDeviceGetUUID(handle) for handle in handles]
        return tuple(
            Device(
                id=ids[index],
                index=index,
                name=library.nvmlDeviceGetName(handle),
                memory=_memory(library, handle).total,
                used=_memory(library, handle).used,
                far={ids[other]: _distance(library, handle, handles[other]) for other in range(len(ids))},
            )
            for index, handle in enumerate(handles)
        )


def nvidia_samples() -> dict[str, Sample]:
    """What each device does now."""
    with nvml() as library:
        return {library.nvmlDeviceGetUUID(h): _sample(library, h) for h in _handles(library)} if library else {}


def _handles(library: Any) -> Iterator[Any]:
    for index in range(library.nvmlDeviceGetCount()):
        yield library.nvmlDeviceGetHandleByIndex(index)


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
