"""An accelerator of this machine, as its driver shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

FREE = 1024**3  # bytes in use below which nobody uses a device: drivers and desktops take some hundred MB


@dataclass(frozen=True)
class Device:
    """``id`` is what runtimes and Docker call it; ``far`` are distances to others by their id, 0 for the nearest."""

    id: str
    index: int
    name: str
    memory: int  # bytes
    used: int  # bytes, by whomever
    far: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def free(self) -> bool:
        """Whether nobody uses its memory."""
        return self.used < FREE

    def __str__(self) -> str:
        used = f", {self.used / 1e9:.1f} GB of it in use" if not self.free else ""
        return f"{self.index}: {self.name}, {self.memory / 1e9:.0f} GB{used}"


@dataclass(frozen=True)
class Sample:
    """What a device does at a moment; None where its driver does not tell."""

    used: int  # bytes
    utilization: float | None = None  # share of the time that a kernel ran
    power: float | None = None  # W
    temperature: float | None = None  # C


Sampler = Callable[[], dict[str, Sample]]
"""The samples of all devices now, by id."""
