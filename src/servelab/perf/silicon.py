"""Step times and KV cache from kernels measured on real accelerators: the data of NVIDIA's aiconfigurator-core.

An optional package (``pip install 'servelab[aiconfigurator]'``). It adds up measured kernels, engine version by engine
version, and its figures move from one release to the next: both versions belong with whatever is made of them.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import cache

from servelab.batching.steptime import LinearStepTime
from servelab.catalog.accelerators import Accelerator
from servelab.catalog.models import KnownModel
from servelab.perf.models import Lengths

PACKAGE = "aiconfigurator-core"
ENGINES = ("vllm", "sglang", "trtllm")  # by the package's names, which are ours
BATCHES = (16, 32, 64, 128, 256)  # sequences of the steps asked about; fewer wake fewer experts, which no line follows
PROMPTS = (512, 2048, 8192)  # prompt tokens of the steps that are asked about
LONGER = 4  # times the workload's lengths: tells the cost of a sequence from that of its context
STEP_TOKENS = 1024  # memory is asked for in steps of so many tokens, to ask seldom


class NotMeasuredError(Exception):
    """The package is not there, or has no data of this; the message says why."""


@dataclass(frozen=True)
class Silicon:
    """A model on an accelerator under an engine, each by the package's name; devices are in tensor parallel."""

    model: str
    system: str
    engine: str
    engine_version: str
    version: str

    def __str__(self) -> str:
        return f"{PACKAGE} {self.version}, {self.engine} {self.engine_version} on {self.system}"

    def step(self, lengths: Lengths, devices: int, kv_bytes: float) -> LinearStepTime | None:
        """The linear step nearest to the measured ones for these lengths; None where nothing was measured."""
        found = _step(self, lengths, devices, kv_bytes)
        return found if isinstance(found, LinearStepTime) else None

    def kv_tokens(self, devices: int, share: float, tokens_per_step: int, kv_bytes: float) -> float | None:
        """Tokens of KV cache; ``share`` is of a device's memory (TensorRT-LLM: of what weights and steps leave).

        None where the package cannot tell, or finds no room for a cache.
        """
        memory = _memory(self, devices, math.ceil(tokens_per_step / STEP_TOKENS) * STEP_TOKENS, kv_bytes)
        if memory is None:
            return None
        free = memory.left * share if self.engine == "trtllm" else memory.left - (1 - share) * memory.capacity
        return free * memory.tokens / memory.left


def find_silicon(model: KnownModel, accelerator: Accelerator, engine: str, lengths: Lengths, devices: int) -> Silicon:
    """What the package has measured of these, by the newest engine that it has measured in full.

    Raises:
        NotMeasuredError: it is not installed, or has not measured this with so many devices.
    """
    if engine not in ENGINES or accelerator.aiconfigurator is None:
        raise NotMeasuredError(f"{PACKAGE} has no measurements of {engine} on {accelerator.title}")
    found = _found(model.aiconfigurator or model.id, accelerator.aiconfigurator, engine)
    step = _step(found, lengths, devices, 2.0)
    if isinstance(step, str):
        raise NotMeasuredError(f"{found}: {step}")
    return found


def _found(model: str, system: str, engine: str) -> Silicon:
    from importlib.metadata import PackageNotFoundError, version

    try:
        release = version(PACKAGE)
    except PackageNotFoundError:
        told = f"{PACKAGE}, which may have measurements, is not installed: pip install 'servelab[aiconfigurator]'"
        raise NotMeasuredError(told) from None
    # It warns of every table that it fills up; what is missing altogether, it raises.
    logging.getLogger("aiconfigurator_core").setLevel(logging.ERROR)
    try:
        from aiconfigurator_core.sdk.common import DefaultHFModels
        from aiconfigurator_core.sdk.perf_database import resolve_query_version

        known = model in DefaultHFModels  # of any other, it would look up the shape on the internet
        engine_version = resolve_query_version(system, engine, "current")
    except Exception as error:  # whatever another release does, our own figures stand in
        raise NotMeasuredError(f"{PACKAGE} {release} cannot be used: {_told(error)}") from error
    if not known:
        raise NotMeasuredError(f"{PACKAGE} {release} does not know {model}")
    return Silicon(model, system, engine, str(engine_version), release)


@cache
def _step(silicon: Silicon, lengths: Lengths, devices: int, kv_bytes: float) -> LinearStepTime | str:
    """The step, or why it is not known."""
    try:
        return _fitted(silicon, lengths, devices, kv_bytes)
    except Exception as error:  # noqa: BLE001 - what it has no data of, it tells by many exceptions, AssertionError too
        return _told(error)


def _fitted(silicon: Silicon, lengths: Lengths, devices: int, kv_bytes: float) -> LinearStepTime:
    """Least squares of the relative error, no coefficient below 0 (Lawson and Hanson 1974)."""
    import numpy as np
    from aiconfigurator_core.sdk import EngineHandle
    from scipy.optimize import nnls

    handle = EngineHandle.compile(
        silicon.model,
        silicon.system,
        silicon.engine,
        backend_version=silicon.engine_version,
        tp_size=devices,
        moe_tp_size=devices,
        kvcache_quant_mode=_kv_mode(kv_bytes),
    )
    prompt, output = max(1, round(lengths.prompt)), max(2, round(lengths.output))
    context = prompt + output / 2
    steps = {}
    for batch in BATCHES:
        steps[(1, 0, batch, batch * context)] = handle.decode_step_latency(batch, prompt, output)
        longer = handle.decode_step_latency(batch, LONGER * prompt, LONGER * output)
        steps[(1, 0, batch, LONGER * batch * context)] = longer
        for tokens in PROMPTS:
            steps[(1, tokens, batch, batch * context)] = handle.mixed_step_latency(tokens, batch, prompt, output)
    seconds = np.array(list(steps.values())) / 1000
    if not (np.isfinite(seconds).all() and (seconds > 0).all()):
        raise ValueError("it gives a step that takes no time")
    found, _ = nnls(np.array(list(steps)) / seconds[:, None], np.ones(len(seconds)))
    return LinearStepTime(*(float(one) for one in found))


@dataclass(frozen=True)
class _Memory:
    """Of one device: bytes in all, bytes that weights and steps leave, and tokens of the cache that those hold."""

    capacity: float
    left: float
    tokens: float


@cache
def _memory(silicon: Silicon, devices: int, tokens_per_step: int, kv_bytes: float) -> _Memory | None:
    from aiconfigurator_core.sdk import estimate_kv_cache

    try:
        found = estimate_kv_cache(
            silicon.model,
            silicon.system,
            silicon.engine,
            silicon.engine_version,
            max_num_tokens=tokens_per_step,
            max_batch_size=1,  # of no influence, it says
            memory_fraction_kind="of_free" if silicon.engine == "trtllm" else "of_total",
            memory_fraction_value=1.0,
            tp_size=devices,
            moe_tp_size=devices,
            kvcache_quant_mode=_kv_mode(kv_bytes),
        )
        sizes = (found["total_gpu_capacity_bytes"], found["total_kv_size_bytes"], found["total_kv_size_tokens"])
    except Exception:  # noqa: BLE001 - see _step
        return None
    return _Memory(*(float(one) for one in sizes))


def _kv_mode(kv_bytes: float) -> str | None:
    """The package's name for a cache of such values; None for the model's own."""
    return "fp8" if kv_bytes == 1 else None


def _told(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:120]
