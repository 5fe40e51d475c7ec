"""What the llm-d Workload Variant Autoscaler reads, of both generations.

From 2025-09 to 2026-01 it read alpha, beta, gamma and delta of ``linear-batch`` and ``linear-prefill``, in ms as text,
from ``modelProfile`` of its CRD. Since 2026-02 it learns the coefficients of ``tokenwise`` by itself, and takes only
targets and costs: from a ConfigMap and from annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servelab.perf.models import Lengths, LinearBatch, LinearPrefill, Tokenwise
from servelab.perf.parameters import Fit, Parameters
from servelab.perf.text import yaml_text
from servelab.spec.errors import DocumentError

SYSTEM_NAMESPACE = "workload-variant-autoscaler-system"
CONFIG_MAP = "wva-queueing-model-config"
SLO_MULTIPLIER = 3.0
COST = 10.0
MANAGED, MODEL_ID, VARIANT_COST = "llm-d.ai/managed", "llm-d.ai/model-id", "llm-d.ai/variant-cost"


@dataclass(frozen=True)
class Variant:
    """The deployment that is scaled."""

    model: str
    name: str
    "The Deployment, and the object that scales it."
    namespace: str = "default"
    accelerator: str = "unknown"
    accelerators: int = 1
    max_batch_size: int | None = None
    "Default: the largest that was measured."
    slo_class: tuple[str, str] | None = None
    "Name of a ConfigMap and key in it, which the CRD of 2025 asks for."
    cost: float = COST


def variant_autoscaling(parameters: Parameters, variant: Variant) -> dict[str, Any]:
    """A VariantAutoscaling with ``modelProfile``: read up to 2026-01.

    Raises:
        DocumentError: the coefficients of linear-batch or linear-prefill are missing.
    """
    decode = _fit(parameters, LinearBatch.name)
    prefill = _fit(parameters, LinearPrefill.name)
    batch = decode.valid.get("batch")
    # In flight on average were fewer than the batch size of two points, whose most it is.
    most = parameters.two_point.batch_size if parameters.two_point else batch.high if batch else None
    largest = variant.max_batch_size or (None if most is None else round(most))
    if largest is None:
        raise DocumentError(("the largest batch is not known",), "Give it: --max-batch-size 64")
    profile = {
        "acc": variant.accelerator,
        "accCount": variant.accelerators,
        "maxBatchSize": max(1, largest),
        "perfParms": {"decodeParms": _milliseconds(decode), "prefillParms": _milliseconds(prefill)},
    }
    spec: dict[str, Any] = {"modelID": variant.model, "modelProfile": {"accelerators": [profile]}}
    if variant.slo_class is None:
        spec |= {"scaleTargetRef": {"kind": "Deployment", "name": variant.name}, "variantCost": f"{variant.cost:.1f}"}
    else:
        spec["sloClassRef"] = dict(zip(("name", "key"), variant.slo_class, strict=True))
    return {
        "apiVersion": "llmd.ai/v1alpha1",
        "kind": "VariantAutoscaling",
        "metadata": {"name": variant.name, "namespace": variant.namespace},
        "spec": spec,
    }


def config_map(
    parameters: Parameters, variant: Variant, multiplier: float = SLO_MULTIPLIER, slo: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The ConfigMap of the queueing-model analyzer, with an entry for the model.

    ``slo`` holds ttft and itl in seconds. Without it, the targets are what the analyzer would infer with these
    coefficients of ``tokenwise``; where they are not known either, it infers them from what it observes.

    Raises:
        DocumentError: only one target is given, or the multiplier is not above 1.
    """
    if multiplier <= 1:
        raise DocumentError((f"the SLO multiplier is {multiplier:g}; it has to be above 1",))
    if slo and set(slo) != {"ttft", "itl"}:
        raise DocumentError(("the analyzer takes both targets or none",), "Give --slo ttft=500ms --slo itl=50ms")
    targets = slo or inferred_targets(parameters, multiplier)
    entry: dict[str, Any] = {"model_id": variant.model, "namespace": variant.namespace}
    if targets:
        entry |= {"targetTTFT": round(targets["ttft"] * 1000, 3), "targetITL": round(targets["itl"] * 1000, 3)}
    rules = {"sloMultiplier": multiplier, "tuningEnabled": True}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CONFIG_MAP,
            "namespace": SYSTEM_NAMESPACE,
            "labels": {
                "app.kubernetes.io/name": "workload-variant-autoscaler",
                "app.kubernetes.io/managed-by": "servelab",
            },
        },
        "data": {"default": yaml_text(rules), variant.name: yaml_text(entry | rules)},
    }


def inferred_targets(parameters: Parameters, multiplier: float) -> dict[str, float] | None:
    """Targets in seconds as the analyzer infers them (docs of the analyzer, 6.2): a step of ``multiplier * alpha``.

    ``TTFT = k alpha + (beta + gamma) prompt`` and ``ITL = k alpha + beta + gamma (prompt + (output + 1) / 2)``. None
    where tokenwise was not fitted.
    """
    lengths = parameters.lengths
    found = [fit.instance for fit in parameters.fits if fit.model == Tokenwise.name]
    if lengths is None or not found or not isinstance(found[0], Tokenwise):
        return None
    # At a batch of 0, a step is alpha.
    unloaded = Tokenwise(multiplier * found[0].alpha, found[0].beta, found[0].gamma)
    at = Lengths(lengths.prompt, lengths.output)
    return {"ttft": unloaded.ttft(0, at), "itl": unloaded.itl(0, at)}


def found_by(variant: Variant) -> dict[str, str]:
    """The annotations of a HorizontalPodAutoscaler or ScaledObject by which it is found since 2026-08."""
    return {MANAGED: "true", MODEL_ID: variant.model, VARIANT_COST: f"{variant.cost:.1f}"}


def annotated(variant: Variant, kind: str = "HorizontalPodAutoscaler") -> dict[str, Any]:
    """A patch of the object that scales the variant: kubectl patch --type merge --patch-file."""
    versions = {"HorizontalPodAutoscaler": "autoscaling/v2", "ScaledObject": "keda.sh/v1alpha1"}
    metadata = {"name": variant.name, "namespace": variant.namespace, "annotations": found_by(variant)}
    return {"apiVersion": versions[kind], "kind": kind, "metadata": metadata}


def _fit(parameters: Parameters, model: str) -> Fit:
    try:
        return parameters.fit(model)
    except ValueError:
        raise DocumentError(
            (f"{model} is not among these parameters",), "servelab estimate fits it; of two points, give TTFT as well."
        ) from None


def _milliseconds(fit: Fit) -> dict[str, str]:
    return {name: f"{one.value * 1000:.6g}" for name, one in fit.values.items()}
