"""How many accelerators a trial needs, and which ones this machine has."""

from __future__ import annotations

import math
import os
import shutil
import subprocess

from servelab.spec.base import Parameters
from servelab.spec.study import Study

_PARALLELISM = {
    "vllm": ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"),
    "sglang": ("tp_size", "pp_size", "dp_size"),
    "trtllm": ("tp_size", "pp_size"),
}


def accelerator_count(study: Study, parameters: Parameters) -> int:
    """Accelerators that one deployment holds: what its parallelism needs, at least ``resources.accelerators``.

    The simulated engine and engines on CPUs hold none.
    """
    resources = study.engine.resources.accelerators
    names = _PARALLELISM.get(study.engine.name)
    if names is None:
        return resources
    settings = {**study.engine.arguments, **parameters}
    sizes = [settings.get(name, 1) for name in names]
    needed = math.prod(size for size in sizes if isinstance(size, int))
    return max(resources, needed) if resources or needed > 1 else 0


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
