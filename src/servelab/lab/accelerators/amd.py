"""AMD's devices, through ``rocm-smi``."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

from servelab.lab.accelerators.device import Device, Sample

PREFIX = "amd-"
PATIENCE = 30.0  # seconds
SAME_NODE, OTHER_NODE = 40, 50  # as NVML counts ways within a NUMA node and between two
ASKED = ("--showproductname", "--showmeminfo", "vram", "--showtoponuma")
SAMPLED = ("--showuse", "--showmeminfo", "vram", "--showpower", "--showtemp")


def amd_devices() -> tuple[Device, ...]:
    """All devices of the driver; those of one NUMA node count as near."""
    cards = _cards(ASKED)
    nodes = {index: _value(card, "numa node") for index, card in cards.items()}
    return tuple(
        Device(
            id=f"{PREFIX}{index}",
            index=index,
            name=_text(card, "card series", "card model") or "AMD GPU",
            memory=int(_value(card, "vram total memory") or 0),
            used=int(_value(card, "vram total used") or 0),
            far={f"{PREFIX}{o}": SAME_NODE if nodes[o] == nodes[index] else OTHER_NODE for o in cards},
        )
        for index, card in cards.items()
    )


def amd_samples() -> dict[str, Sample]:
    """What each device does now."""
    return {f"{PREFIX}{index}": _sample(card) for index, card in _cards(SAMPLED).items()}


def _sample(card: dict[str, Any]) -> Sample:
    use = _value(card, "gpu use")
    return Sample(
        used=int(_value(card, "vram total used") or 0),
        utilization=None if use is None else use / 100,
        power=_value(card, "graphics package power"),
        temperature=_value(card, "sensor junction", "sensor edge"),
    )


def _cards(asked: tuple[str, ...]) -> dict[int, dict[str, Any]]:
    """What rocm-smi says of each card, by its number; nothing where it is not here, or does not work."""
    program = shutil.which("rocm-smi")
    if program is None:
        return {}
    try:
        told = subprocess.run(
            [program, *asked, "--json"], capture_output=True, text=True, timeout=PATIENCE, check=True
        ).stdout
        # Warnings may stand before the JSON.
        found = json.loads(told[told.index("{") :])
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    cards = {name.removeprefix("card"): value for name, value in found.items() if isinstance(value, dict)}
    return {int(name): value for name, value in sorted(cards.items()) if name.isdigit()}


def _text(card: dict[str, Any], *names: str) -> str | None:
    """The first value whose key contains one of these words; versions of rocm-smi differ in units and capitals."""
    return next((str(card[key]) for name in names for key in card if name in key.lower()), None)


def _value(card: dict[str, Any], *names: str) -> float | None:
    text = _text(card, *names)
    try:
        return None if text is None else float(text)
    except ValueError:  # "N/A"
        return None
