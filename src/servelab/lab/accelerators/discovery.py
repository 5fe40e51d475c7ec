"""Which accelerators this machine has, and which of them this process may use."""

from __future__ import annotations

import os

from servelab.lab.accelerators.amd import amd_devices, amd_samples
from servelab.lab.accelerators.device import Device, Sample
from servelab.lab.accelerators.nvidia import nvidia_devices, nvidia_samples

VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


def local_accelerators() -> tuple[Device, ...]:
    """The devices of NVIDIA's driver, else of AMD's, else none; those that CUDA_VISIBLE_DEVICES names, where it is set.

    It may name them by index or by the beginning of their UUID, as CUDA itself allows.
    """
    found = nvidia_devices() or amd_devices()
    visible = next((os.environ[name] for name in VISIBLE if name in os.environ), None)
    if visible is None:
        return found
    named = [word.strip() for word in visible.split(",") if word.strip()]
    chosen = (device for word in named for device in found if _is_named(device, word))
    return tuple(dict.fromkeys(chosen))


def _is_named(device: Device, word: str) -> bool:
    return word == str(device.index) or (not word.isdigit() and device.id.startswith(word))


def samples() -> dict[str, Sample]:
    """What each device does now, by id."""
    return nvidia_samples() or amd_samples()
