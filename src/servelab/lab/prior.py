"""What is known before anything is measured, as a prior for the sampler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from servelab.batching.steptime import LinearStepTime
from servelab.catalog.accelerators import Accelerator, find_accelerator
from servelab.catalog.memory import kv_tokens
from servelab.catalog.models import KnownModel, find_model
from servelab.lab.calibration import calibrated
from servelab.perf.arguments import batching
from servelab.perf.forecast import Server, forecast
from servelab.perf.models import Lengths
from servelab.perf.roofline import roofline
from servelab.perf.silicon import NotMeasuredError, Silicon, find_silicon
from servelab.spec.assess import Observation, Prediction, Prior
from servelab.spec.base import Parameters
from servelab.spec.study import Study

_NAMES = {
    "vllm": ("tensor_parallel_size", "gpu_memory_utilization", 0.92, "max_num_batched_tokens", 8192),
    "simulated": ("tensor_parallel_size", "gpu_memory_utilization", 0.92, "max_num_batched_tokens", 8192),
    "sglang": ("tp_size", "mem_fraction_static", 0.88, "chunked_prefill_size", 8192),
    "trtllm": ("tp_size", "free_gpu_memory_fraction", 0.9, "max_num_tokens", 8192),
}
"""Engine -> the arguments for parallelism, memory share (and default) and tokens per step (and default)."""


def study_prior(study: Study, observations: Sequence[Observation] = ()) -> Prior | None:
    """What a configuration comes to before it is tried: whether it runs, by memory, and its metrics, in closed form.

    A configuration whose KV cache could not hold one request cannot run. The step's time is that of measured kernels
    (see perf/silicon.py), or else the roofline of model and accelerator, corrected by what was measured of other
    configurations; how far that is still off, the sampler learns. None where the catalog knows the model,
    the accelerator or the engine's memory use not well enough: an unknown accelerator, say, or quantized weights.
    """
    known = _known(study)
    return None if known is None else calibrated(known, observations)


def prior_source(study: Study) -> str | None:
    """Where the prior's step times and memory come from, with versions; None where there is no prior."""
    known = _known(study)
    return None if known is None else known.source


def _known(study: Study) -> _Known | None:
    model = find_model(study.model.id)
    accelerator = find_accelerator(study.engine.resources.accelerator or "")
    if model is None or accelerator is None or study.engine.name not in _NAMES:
        return None
    if "quantization" in study.engine.arguments or "quantization" in study.changed:
        return None
    lengths = Lengths(study.workload.prompt.mean, study.workload.output.mean)
    devices = int(study.engine.arguments.get(_NAMES[study.engine.name][0], 1))
    try:
        silicon = find_silicon(model, accelerator, study.engine.name, lengths, devices)
    except NotMeasuredError as error:
        return _Known(study, model, accelerator, None, f"the makers' data sheets ({error})")
    return _Known(study, model, accelerator, silicon, str(silicon))


@dataclass(frozen=True)
class _Known:
    """The prior; step times (base, prefill, decode, context) and the cache are multiplied by factors."""

    study: Study
    model: KnownModel
    accelerator: Accelerator
    silicon: Silicon | None
    source: str
    factors: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)

    def __call__(self, parameters: Parameters) -> Prediction:
        found = {**self.study.engine.arguments, **parameters}
        engine = self.study.engine.name
        devices = int(found.get(_NAMES[engine][0], 1))
        kv_bytes = 1.0 if str(found.get("kv_cache_dtype", "auto")).startswith("fp8") else 2.0
        tokens = self._kv_tokens(found, devices, kv_bytes)
        if tokens < self.study.workload.longest:
            return Prediction(runs=False, metrics={})
        shared = self.study.workload.prefix.tokens if self.study.workload.prefix else 0
        computed = 0 if found.get("enable_prefix_caching", True) else shared
        server = Server(
            self._step(devices, kv_bytes),
            batching(engine, found, int(tokens * self.factors[-1])),
            Lengths(self.study.workload.prompt.mean + computed, self.study.workload.output.mean),
        )
        metrics = forecast(server, self.study.workload, self.study.load)
        if "output_throughput" in metrics:
            metrics["output_throughput_per_accelerator"] = metrics["output_throughput"] / devices
        return Prediction(metrics=metrics)

    def with_factors(self, factors: Iterable[float]) -> Self:
        """The same with other factors."""
        return replace(self, factors=tuple(float(one) for one in factors))

    def _step(self, devices: int, kv_bytes: float) -> LinearStepTime:
        lengths = Lengths(self.study.workload.prompt.mean, self.study.workload.output.mean)
        measured = self.silicon.step(lengths, devices, kv_bytes) if self.silicon else None
        step = measured or roofline(self.model, self.accelerator, devices, kv_bytes)
        base, prefill, decode, context, _ = self.factors
        return LinearStepTime(
            step.base_s * base, step.prefill_s * prefill, step.decode_s * decode, step.context_s * context
        )

    def _kv_tokens(self, found: Mapping[str, Any], devices: int, kv_bytes: float) -> float:
        _, share_name, usual_share, step_name, usual_step = _NAMES[self.study.engine.name]
        share = float(found.get(share_name, usual_share))
        step = max(1, int(found.get(step_name, usual_step)))
        if self.silicon:
            measured = self.silicon.kv_tokens(devices, share, step, kv_bytes)
            # It reserves generously: what it finds no room for is given up only where our own arithmetic agrees.
            if measured is not None and measured >= self.study.workload.longest:
                return measured
        return kv_tokens(self.model, self.accelerator.memory_gb, devices, share, step, kv_bytes)
