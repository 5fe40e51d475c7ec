"""Boxes with GPUs to test with. There is none here: the drivers are played, and what asks them is real."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

SEED_BOX = (91_200_000_000, 4_000_000, 89_600_000_000, *[4_000_000] * 5)
"""What was in use on the eight H20 of the predecessor's box: 0 and 2 were others'."""


def uuid(index: int) -> str:
    """Of a device of the played NVML."""
    return f"GPU-{index:08d}-aaaa-bbbb-cccc-000000000000"


class Box:
    """A box whose NVML is played (nvml.c), for servelab in processes of its own with ``environment``."""

    def __init__(self, directory: Path, used: Sequence[int]) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("a C compiler is needed to play NVML")
        library = directory / "libnvidia-ml.so.1"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, Path(__file__).with_name("nvml.c")], check=True)
        self._used = directory / "used"
        self.use(used)
        self.environment = {"NVML_PLAYED": str(self._used), "LD_LIBRARY_PATH": str(directory)}

    def use(self, used: Sequence[int]) -> None:
        """What is in use of each device from now on, in bytes."""
        fresh = self._used.with_suffix(".new")
        fresh.write_text("".join(f"{one}\n" for one in used))
        fresh.rename(self._used)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the processes that a test starts live in this box."""
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)


ROCM = """#!/bin/sh
cat <<'END'
WARNING: AMD GPU device(s) is/are in a low-power state.
{"card0": {"Card Series": "AMD Instinct MI300X", "VRAM Total Memory (B)": "206141652992",
 "VRAM Total Used Memory (B)": "297000960", "(Topology) Numa Node": "0", "GPU use (%)": "3",
 "Current Socket Graphics Package Power (W)": "133.0", "Temperature (Sensor junction) (C)": "35.0"},
 "card1": {"Card Series": "AMD Instinct MI300X", "VRAM Total Memory (B)": "206141652992",
 "VRAM Total Used Memory (B)": "190000000000", "(Topology) Numa Node": "0", "GPU use (%)": "N/A",
 "Current Socket Graphics Package Power (W)": "750.0", "Temperature (Sensor junction) (C)": "78.0"},
 "card2": {"Card Series": "AMD Instinct MI300X", "VRAM Total Memory (B)": "206141652992",
 "VRAM Total Used Memory (B)": "297000960", "(Topology) Numa Node": "1", "GPU use (%)": "0",
 "Current Socket Graphics Package Power (W)": "131.0", "Temperature (Sensor junction) (C)": "36.0"},
 "system": {"Driver version": "6.8.5"}}
END
"""


def rocm_smi(directory: Path) -> str:
    """A played rocm-smi; returns the PATH on which it is found."""
    program = directory / "rocm-smi"
    program.write_text(ROCM)
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"
