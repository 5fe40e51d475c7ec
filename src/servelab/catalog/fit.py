"""Whether a study's model can fit its accelerators at all, by arithmetic that no measurement would overturn."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from servelab.catalog.accelerators import find_accelerator
from servelab.catalog.memory import weights_gb
from servelab.catalog.models import KnownModel, find_model
from servelab.spec.base import Value
from servelab.spec.study import Study

TENSOR = {"vllm": "tensor_parallel_size", "sglang": "tp_size", "trtllm": "tp_size"}
"""The argument that divides each layer, by engine; the others hold no model that the catalog could reckon with."""

PIPELINE = {"vllm": "pipeline_parallel_size", "sglang": "pp_size", "trtllm": "pp_size"}
"""The argument that divides the layers among groups."""

SHRINKING = ("quantization", "cpu_offload_gb", "hf_overrides", "config", "load_format")
"""Arguments that change how much of the weights an accelerator holds; with one of them, nothing is said."""

MARKETED = 2**30 / 1e9  # makers' "GB" hold up to a GiB: only what exceeds even that is certain not to fit


def misfit(study: Study) -> str | None:
    """Why no configuration of the study can hold the model's weights, or None when one may, or too little is known.

    Weights in GB (parameters x bytes) against the memory of as many accelerators as the study's largest tensor and
    pipeline parallelism take, or of all that a deployment may use where that is more.
    """
    model = find_model(study.model.id)
    accelerator = find_accelerator(study.engine.resources.accelerator or "")
    if model is None or accelerator is None or study.engine.name not in TENSOR or _shrunk(study):
        return None
    devices = max(most_devices(study), study.engine.resources.accelerators)
    needed, there = weights_gb(model), accelerator.memory_gb * devices
    if needed <= there * MARKETED:
        return None
    return (
        f"the weights of {model.id} take {needed:.0f} GB, and {devices} x {accelerator.title} have {there:.0f} GB: "
        f"use more or larger accelerators (`{TENSOR[study.engine.name]}`), or a quantized model"
    )


def uneven_heads(study: Study) -> str | None:
    """Why the model's attention heads cannot be divided by a tensor parallelism of the study, or None."""
    model = find_model(study.model.id)
    argument = TENSOR.get(study.engine.name)
    if model is None or argument is None:
        return None
    wrong = [size for size in _sizes(study, argument) if _uneven(model, size)]
    if not wrong:
        return None
    sizes = ", ".join(str(size) for size in wrong)
    return f"the {model.heads} attention heads of {model.id} cannot be divided by `{argument}: {sizes}`"


def most_devices(study: Study) -> int:
    """Accelerators of the largest configuration: tensor x pipeline parallelism."""
    names = [kind[study.engine.name] for kind in (TENSOR, PIPELINE) if study.engine.name in kind]
    return prod(max(_sizes(study, name)) for name in names)


def _shrunk(study: Study) -> bool:
    return any(name in study.engine.arguments or name in study.changed for name in SHRINKING)


def _uneven(model: KnownModel, size: int) -> bool:
    return size < 1 or model.heads % size != 0


def _sizes(study: Study, argument: str) -> list[int]:
    """The whole numbers that the study may set an argument to; 1, which is every engine's default, when none."""
    found = [value for value in _values(study, argument) if isinstance(value, int) and not isinstance(value, bool)]
    return found or [1]


def _values(study: Study, argument: str) -> Sequence[Value]:
    if argument in study.engine.arguments:
        return (study.engine.arguments[argument],)
    if study.space is not None and argument in study.space.parameters:
        parameter = study.space.parameters[argument]
        return parameter.choices if parameter.type == "categorical" else (parameter.low, parameter.high)
    return [treatment[argument] for treatment in study.design if argument in treatment]
