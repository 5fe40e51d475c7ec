"""What is known before anything is measured, as a prior for the sampler."""

from __future__ import annotations

from servelab.catalog.accelerators import find_accelerator
from servelab.catalog.memory import kv_tokens
from servelab.catalog.models import find_model
from servelab.spec.assess import Prediction, Prior
from servelab.spec.base import Parameters
from servelab.spec.study import Study

_NAMES = {
    "vllm": ("tensor_parallel_size", "gpu_memory_utilization", 0.92, "max_num_batched_tokens", 8192),
    "sglang": ("tp_size", "mem_fraction_static", 0.88, "chunked_prefill_size", 8192),
    "trtllm": ("tp_size", "free_gpu_memory_fraction", 0.9, "max_num_tokens", 8192),
}
"""Engine -> the arguments for parallelism, memory share (and default) and tokens per step (and default)."""


def memory_prior(study: Study) -> Prior | None:
    """Memory arithmetic as a prior: a configuration whose KV cache could not hold one request cannot run.

    It says nothing of metrics. None where the catalog knows the model, the accelerator or the engine's memory use
    not well enough: an unknown accelerator, say, or quantized weights.
    """
    model = find_model(study.model.id)
    accelerator = find_accelerator(study.engine.resources.accelerator or "")
    settings = {**study.engine.arguments}
    if model is None or accelerator is None or study.engine.name not in _NAMES:
        return None
    if "quantization" in settings or "quantization" in study.changed:
        return None
    parallelism, share, usual_share, step, usual_step = _NAMES[study.engine.name]

    def prior(parameters: Parameters) -> Prediction:
        found = {**settings, **parameters}
        fp8 = str(found.get("kv_cache_dtype", "auto")).startswith("fp8")
        tokens = kv_tokens(
            model,
            accelerator.memory_gb,
            int(found.get(parallelism, 1)),
            float(found.get(share, usual_share)),
            max(1, int(found.get(step, usual_step))),
            1.0 if fp8 else 2.0,
        )
        return Prediction(runs=tokens >= study.workload.longest, metrics={})

    return prior
