"""The time of a step from data sheets, before anything was measured.

The roofline of Williams et al. (CACM 2009), as Vidur and vLLM's own apply it: weights are read once a step, prompts are
bound by arithmetic, attention over the cache by bandwidth. What engines reach of the makers' figures differs by kernel
and model; these are middling shares, to be corrected by what is measured.
"""

from __future__ import annotations

import math

from servelab.batching.steptime import LinearStepTime
from servelab.catalog.accelerators import Accelerator
from servelab.catalog.memory import kv_bytes_per_token, kv_shards, weights_gb
from servelab.catalog.models import KnownModel

WEIGHTS_SHARE = 0.8  # of the bandwidth, reading weights
CACHE_SHARE = 0.5  # of the bandwidth, reading the cache
ARITHMETIC_SHARE = 0.6  # of the arithmetic, in prompts
SEQUENCE_S = 20e-6  # seconds that a sequence costs: scheduling, sampling
LAUNCH_S = 1e-3  # seconds that a step costs: scheduling, launching
LINK_S = 20e-6  # seconds of an all-reduce, for each doubling of the devices; two a layer
FLOP_PER_PARAMETER = 2  # and token


def roofline(model: KnownModel, accelerator: Accelerator, devices: int, kv_bytes: float = 2.0) -> LinearStepTime:
    """The step of a model on ``devices`` accelerators in tensor parallel; ``kv_bytes`` are those of a cached value."""
    bandwidth = accelerator.bandwidth_gbps * 1e9
    narrow = model.bytes_per_parameter <= 1 and accelerator.fp8_tflops is not None
    flops = (accelerator.fp8_tflops if narrow else None) or accelerator.bf16_tflops
    used = (model.active or model.parameters) * 1e9
    links = 2 * model.layers * LINK_S * math.log2(devices)
    return LinearStepTime(
        base_s=weights_gb(model) * 1e9 / (bandwidth * WEIGHTS_SHARE * devices) + LAUNCH_S + links,
        prefill_s=FLOP_PER_PARAMETER * used / (flops * 1e12 * ARITHMETIC_SHARE * devices),
        decode_s=SEQUENCE_S,
        context_s=kv_bytes_per_token(model, kv_bytes) / (bandwidth * CACHE_SHARE * kv_shards(model, devices)),
    )
