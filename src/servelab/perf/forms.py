"""Coefficients as the llm-d autoscaler reads them, in every form that it has had."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from servelab.perf.autoscaler import COST, SLO_MULTIPLIER, Variant, annotated, config_map, variant_autoscaling
from servelab.perf.parameters import Parameters
from servelab.perf.text import yaml_text
from servelab.spec.errors import DocumentError

Form = Literal["perf-parms", "config-map", "hpa", "scaled-object"]
FORMS: tuple[Form, ...] = get_args(Form)

HEADERS: Mapping[Form, str] = {
    "perf-parms": "# Read by the Workload Variant Autoscaler up to 2026-01; today's has no modelProfile.\n"
    "# alpha and beta are of linear-batch, gamma and delta of linear-prefill, in ms.\n",
    "config-map": "# For the queueing-model analyzer of the Workload Variant Autoscaler, since 2026. It learns the\n"
    "# coefficients of tokenwise by itself, and takes targets, in ms.\n",
    "hpa": "# Apply with: kubectl patch hpa NAME --type merge --patch-file FILE\n",
    "scaled-object": "# Apply with: kubectl patch scaledobject NAME --type merge --patch-file FILE\n",
}


@dataclass(frozen=True)
class Target:
    """What is scaled, as people give it; empty where the coefficients say it."""

    model: str = ""
    name: str = ""
    namespace: str = "default"
    accelerator: str = "unknown"
    accelerators: int = 1
    max_batch_size: int | None = None
    slo_class: str = ""
    """CONFIGMAP/KEY."""
    cost: float = COST
    slo_multiplier: float = SLO_MULTIPLIER
    slo: Mapping[str, float] | None = None
    """ttft and itl in seconds."""


def form_data(form: Form, parameters: Parameters, target: Target) -> dict[str, Any]:
    """The object.

    Raises:
        DocumentError: the model is not known, a name is none, or the form needs coefficients that are missing.
    """
    served = target.model or parameters.workload.model or ""
    if not served:
        raise DocumentError(("the file of coefficients does not say which model was measured",), "Give it: --model ID")
    if not 0 <= target.cost < math.inf:
        raise DocumentError((f"the cost of a replica is {target.cost:g}; it has to be 0 or more",))
    if target.accelerators < 1 or (target.max_batch_size is not None and target.max_batch_size < 1):
        raise DocumentError(("accelerators and the largest batch have to be at least 1",))
    variant = Variant(
        model=served,
        name=object_name(target.name or served),
        namespace=object_name(target.namespace),
        accelerator=target.accelerator,
        accelerators=target.accelerators,
        max_batch_size=target.max_batch_size,
        slo_class=_slo_class(target.slo_class),
        cost=target.cost,
    )
    if form == "perf-parms":
        return variant_autoscaling(parameters, variant)
    if form == "config-map":
        return config_map(parameters, variant, target.slo_multiplier, target.slo)
    return annotated(variant, "ScaledObject") if form == "scaled-object" else annotated(variant)


def form_text(form: Form, parameters: Parameters, target: Target) -> str:
    """The object as YAML, with what it is for.

    Raises:
        DocumentError: see form_data.
    """
    return HEADERS[form] + yaml_text(form_data(form, parameters, target))


def object_name(text: str) -> str:
    """A DNS label of a name or of a model's id.

    Raises:
        DocumentError: nothing is left of it.
    """
    made = re.sub(r"[^a-z0-9]+", "-", text.lower().rsplit("/", 1)[-1])[:50].strip("-")
    if not made:
        raise DocumentError((f"{text!r} makes no name of a Kubernetes object",), "Give one: --name llama-8b")
    return made


def _slo_class(text: str) -> tuple[str, str] | None:
    if not text:
        return None
    name, slash, key = text.partition("/")
    if not (name and slash and key):
        raise DocumentError((f"{text!r} is no service class",), "Write it as CONFIGMAP/KEY")
    return name, key
