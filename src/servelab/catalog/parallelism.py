"""How many accelerators a configuration spreads over."""

from __future__ import annotations

import math

from servelab.spec.base import Parameters
from servelab.spec.study import Study

_SIZES = {
    "vllm": ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"),
    "sglang": ("tp_size", "pp_size", "dp_size"),
    "trtllm": ("tp_size", "pp_size"),
}


def parallel_size(study: Study, parameters: Parameters) -> int:
    """Ranks that one deployment runs, an accelerator each where it has any: the product of its parallelisms."""
    settings = {**study.engine.arguments, **parameters}
    sizes = [settings.get(name, 1) for name in _SIZES.get(study.engine.name, ())]
    return math.prod(size for size in sizes if isinstance(size, int))
