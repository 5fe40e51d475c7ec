"""Models and runtimes to create in OME where they are missing."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from servelab.catalog.models import dns_name, find_model
from servelab.catalog.nearest import suggestion
from servelab.kube.cluster import Cluster
from servelab.kube.ensure import ensure
from servelab.kube.kinds import Kind, Manifest
from servelab.platforms.ome.kinds import (
    BASE_MODEL,
    CLUSTER_BASE_MODEL,
    CLUSTER_SERVING_RUNTIME,
    CONTAINER,
    SERVING_RUNTIME,
)
from servelab.platforms.ome.options import BaseModel, OmeOptions, Runtime
from servelab.platforms.ome.service import merged
from servelab.spec.deployment import MODEL_PATH
from servelab.spec.errors import DeployError

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where engines exchange tensors
STARTUP = 1800  # seconds that a runtime's engine may take to load its model

_PROBE_PERIOD = 5  # seconds


async def create_missing(cluster: Cluster, options: OmeOptions, model_id: str) -> list[str]:
    """Create the model and the runtime that the options describe and the cluster lacks; the names of what was created.

    Raises:
        DeployError: there is no such preset.
        ClusterError: the cluster refuses.
    """
    wanted: list[tuple[Kind, Manifest]] = []
    if options.model.preset or options.model.spec:
        kind = CLUSTER_BASE_MODEL if options.model.kind == CLUSTER_BASE_MODEL.name else BASE_MODEL
        wanted.append((kind, base_model(options.model, model_id)))
    if options.runtime.preset or options.runtime.spec:
        kind = CLUSTER_SERVING_RUNTIME if options.runtime.kind == CLUSTER_SERVING_RUNTIME.name else SERVING_RUNTIME
        wanted.append((kind, serving_runtime(options.runtime, options)))
    return [manifest["metadata"]["name"] for kind, manifest in wanted if await ensure(cluster, kind, manifest)]


def base_model(model: BaseModel, model_id: str) -> Manifest:
    """A ClusterBaseModel or BaseModel.

    Raises:
        DeployError: there is no such preset.
    """
    name = model.name or dns_name(model_id)
    spec = _model_spec(name, _preset("models", model.preset)) if model.preset else {}
    return _manifest(model.kind, name, merged(spec, model.spec))


def serving_runtime(runtime: Runtime, options: OmeOptions) -> Manifest:
    """A ClusterServingRuntime or ServingRuntime.

    Raises:
        DeployError: there is no such preset, or the runtime has no name.
    """
    name = runtime.name or runtime.preset
    if not name:
        raise DeployError("a runtime to create needs a name", "Give platform.options.runtime.name.")
    spec = _runtime_spec(_preset("runtimes", runtime.preset), options) if runtime.preset else {}
    return _manifest(runtime.kind, name, merged(spec, runtime.spec))


def _model_spec(name: str, preset: dict[str, Any]) -> dict[str, Any]:
    known = find_model(preset["id"])
    size = {"modelParameterSize": _size(known.parameters), "maxTokens": known.context} if known else {}
    return {
        "vendor": preset["vendor"],
        "modelType": preset["type"],
        "modelArchitecture": preset["architecture"],
        "modelCapabilities": ["text-to-text"],
        # OME matches runtimes by both, and its own examples leave them empty, which matches none.
        "modelFormat": {"name": "safetensors", "version": "1.0.0"},
        "modelFramework": {"name": "transformers", "version": preset["transformers"]},
        **size,
        "storage": {"storageUri": f"hf://{preset['id']}", "path": f"/mnt/data/models/{name}"},
    }


def _size(billions: float) -> str:
    return f"{billions:.3g}B" if billions >= 1 else f"{billions * 1000:.3g}M"


def _runtime_spec(preset: dict[str, Any], options: OmeOptions) -> dict[str, Any]:
    listening = ["--host", "0.0.0.0", "--port", str(options.port)]  # noqa: S104 - of the pod's own network
    health = {"httpGet": {"path": "/health", "port": options.port}, "periodSeconds": _PROBE_PERIOD}
    devices = {options.resource: "1"}
    return {
        "supportedModelFormats": [
            {
                "modelFramework": {"name": "transformers"},
                "modelFormat": {"name": "safetensors", "version": "1.0.0"},
                "modelArchitecture": architecture,
                "autoSelect": False,
            }
            for architecture in ARCHITECTURES
        ],
        "protocolVersions": ["openAI"],
        "engineConfig": {
            "tolerations": [{"key": options.resource, "operator": "Exists", "effect": "NoSchedule"}],
            "volumes": [{"name": "dshm", "emptyDir": {"medium": "Memory"}}],
            "runner": {
                "name": CONTAINER,
                "image": preset["image"],
                "command": preset["command"],
                "args": [preset["model"], MODEL_PATH, *listening],
                "ports": [{"containerPort": options.port, "protocol": "TCP"}],
                "volumeMounts": [{"name": "dshm", "mountPath": SHARED_MEMORY}],
                "resources": {"requests": devices, "limits": devices},
                "readinessProbe": health,
                "startupProbe": {**health, "failureThreshold": STARTUP // _PROBE_PERIOD},
            },
        },
    }


def _manifest(kind: str, name: str, spec: dict[str, Any]) -> Manifest:
    return {"apiVersion": CLUSTER_BASE_MODEL.api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _preset(of: str, name: str) -> dict[str, Any]:
    known = _presets()[of]
    if name not in known:
        raise DeployError(
            f"servelab has no preset of {of} called {name!r}{suggestion(name, known)}",
            f"Known are: {', '.join(known)}.",
        )
    return dict(known[name])


@cache
def _presets() -> dict[str, dict[str, dict[str, Any]]]:
    text = (files("servelab.platforms.ome") / "presets.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))
