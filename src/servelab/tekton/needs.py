"""What a run needs from the cluster: read from its manifests and values, or what data collection usually needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from servelab.kube.kinds import Manifest
from servelab.tekton import shipped
from servelab.tekton.treatments import explicit
from servelab.tekton.values import at

MODEL_SIZE, DATA_SIZE = "300Gi", "20Gi"
UPLOAD_SECRET = "s3-secret"  # noqa: S105 - its name
PRODUCT_LABEL = "nvidia.com/gpu.product"

_SIZES = {"model-cache": MODEL_SIZE, "data": DATA_SIZE}
_CLUSTER = "cluster"


@dataclass(frozen=True)
class Needs:
    """Secrets with their keys, claims with their least size (empty: any), accelerators of one pod, Tasks."""

    run: str = ""
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    """Secrets that only some runs need."""
    claims: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""
    accelerators: int = 0
    product_label: str = PRODUCT_LABEL
    products: tuple[str, ...] = ()
    definitions: tuple[Manifest, ...] = ()
    resolved_in: tuple[str, ...] = ()
    """Namespaces from which the cluster resolver is to fetch Tasks."""


def usual_needs() -> Needs:
    """Of pipelines of which nothing else is known: data collection with any of our Tasks, and estimation."""
    return Needs(
        secrets={"hf-secret": ("HF_TOKEN",), UPLOAD_SECRET: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
        optional=(UPLOAD_SECRET,),
        claims={"model-pvc": MODEL_SIZE, "data-pvc": DATA_SIZE},
        service_account="helm-installer",
        accelerators=1,
        definitions=shipped.definitions(),
        resolved_in=(shipped.GENERATOR_HOME,),
    )


def needs_of(
    run: Manifest, pipeline: Manifest, definitions: Sequence[Manifest] = (), values: Mapping[str, Any] | None = None
) -> Needs:
    """What a PipelineRun needs: the secrets and claims of its workspaces, its Tasks, and its values' accelerators."""
    spec = run.get("spec") or {}
    secrets: dict[str, Sequence[str]] = {}
    claims: dict[str, str] = {}
    for workspace in spec.get("workspaces") or []:
        if secret := workspace.get("secret"):
            secrets[secret["secretName"]] = tuple(item["key"] for item in secret.get("items") or [])
        if claim := workspace.get("persistentVolumeClaim"):
            claims[claim["claimName"]] = _SIZES.get(workspace.get("name", ""), "")
    engine = _engine(values or {})
    return Needs(
        run=(run.get("metadata") or {}).get("name", ""),
        secrets=secrets,
        claims=claims,
        service_account=(spec.get("taskRunTemplate") or {}).get("serviceAccountName", ""),
        accelerators=_accelerators(values or {}),
        product_label=engine.get("labelKey") or PRODUCT_LABEL,
        products=tuple(str(value) for value in engine.get("labelValues") or ()),
        definitions=tuple(definitions),
        resolved_in=_resolved(pipeline),
    )


def _engine(values: Mapping[str, Any]) -> Mapping[str, Any]:
    found = at(values, "stack", "model", "helmValues", "decode", "acceleratorTypes")
    return found if isinstance(found, Mapping) else {}


def _accelerators(values: Mapping[str, Any]) -> int:
    """Of the largest treatment: one engine's pod takes as many as its tensor parallelism; on CPUs, none."""
    if at(values, "stack", "model", "helmValues", "accelerator", "type") == "cpu":
        return 0
    listed = [treatment.get("tensorParallelism", 1) for treatment in explicit(values)]
    sizes = listed or at(values, "stack", "treatments", "tensorParallelism")
    numbers = [size for size in sizes if isinstance(size, int)] if isinstance(sizes, list) else []
    return max(numbers, default=0)


def _resolved(pipeline: Manifest) -> tuple[str, ...]:
    spec = pipeline.get("spec") or {}
    namespaces = []
    for task in [*(spec.get("tasks") or []), *(spec.get("finally") or [])]:
        reference = task.get("taskRef") or {}
        if reference.get("resolver") == _CLUSTER:
            given = {one.get("name"): str(one.get("value", "")) for one in reference.get("params") or []}
            namespaces.append(given.get("namespace", ""))
    return tuple(dict.fromkeys(namespaces))
