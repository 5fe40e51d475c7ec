"""How many accelerators a trial needs, and which ones this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess

from servelab.catalog.parallelism import parallel_size
from servelab.spec.base import Parameters
from servelab.spec.study import Study


def accelerator_count(study: Study, parameters: Parameters) -> int:
    """Accelerators that one deployment holds: what its parallelism needs, at least ``resources.accelerators``.

    The simulated engine and engines on CPUs hold none.
    """
    declared, needed = study.engine.resources.accelerators, parallel_size(study, parameters)
    return max(declared, needed) if declared or needed > 1 else 0


def local_accelerators() -> tuple[str, ...]:
    """The accelerators this process may use: CUDA_VISIBLE_DEVICES if set, else what nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(device.strip() for device in visible.split(",") if device.strip())
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    return tuple(line.strip() for line in found.stdout.splitlines() if line.strip().isdigit())
