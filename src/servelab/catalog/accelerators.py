"""Accelerators: memory, bandwidth, arithmetic."""

from __future__ import annotations

from functools import cache

from pydantic import Field, PositiveFloat

from servelab.catalog.files import read_entries
from servelab.spec.base import Spec


class Accelerator(Spec):
    """One kind of accelerator."""

    title: str
    aliases: tuple[str, ...] = ()
    memory_gb: PositiveFloat
    bandwidth_gbps: PositiveFloat
    bf16_tflops: PositiveFloat
    fp8_tflops: PositiveFloat | None = None
    aiconfigurator: str | None = Field(default=None, description="its name in aiconfigurator-core, if measured there")


@cache
def accelerators() -> dict[str, Accelerator]:
    """All accelerators by short name."""
    return read_entries("accelerators", Accelerator)


def find_accelerator(name: str) -> Accelerator | None:
    """An accelerator by short name or alias, without regard to case; None when it is not known."""
    wanted = name.lower()
    for short, accelerator in accelerators().items():
        if wanted == short or wanted in (alias.lower() for alias in accelerator.aliases):
            return accelerator
    return None
