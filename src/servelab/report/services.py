"""A recommendation for what serves models in a cluster: OME's InferenceService, llm-d's modelservice chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from servelab.catalog.containers import MODELS
from servelab.catalog.models import dns_name, find_model
from servelab.report.command import container_command
from servelab.report.forms import comment_lines, commented, container_notes
from servelab.report.manifests import container_fields, dump, environment, unexpanded
from servelab.report.recommend import Recommendation
from servelab.spec.deployment import MODEL_PATH

OME_PORT = 8080
"""Where OME's runtimes have their engine listen, and ask it whether it is ready."""

SPARE = 1.2  # of a model's size, for what a download needs beside it
UNKNOWN_SIZE = "200Gi"

_MODEL_FLAGS = ("--model", "--model-path")


def inference_service_yaml(advice: Recommendation) -> str:
    """An OME InferenceService, its model and runtime as the study named them.

    Raises:
        ServelabError: the engine is simulated, or has no image and was not measured in OME.
    """
    on_ome = advice.platform == "ome" and not advice.simulated
    image = advice.own_image if on_ome else advice.container and advice.image
    inside = container_command(advice.engine, advice.measured_command, OME_PORT)
    arguments = _with_model(inside.arguments, MODEL_PATH, positional=inside.entrypoint[-1] == "serve")
    runner: dict[str, Any] = {
        "name": "ome-container",
        **({"image": image} if image else {}),
        "command": list(inside.entrypoint),
        "args": [word if word == MODEL_PATH else unexpanded(word) for word in arguments],
        "ports": [{"containerPort": OME_PORT, "protocol": "TCP"}],
    }
    runner |= {name: value for name, value in container_fields(advice).items() if name in ("env", "resources")}
    options = advice.platform_options if advice.platform == "ome" else {}
    model = _reference(options.get("model"), "ClusterBaseModel", dns_name(advice.model))
    runtime = _reference(options.get("runtime"), "ClusterServingRuntime", "")
    spec: dict[str, Any] = {"model": model, "engine": {"minReplicas": 1, "runner": runner}}
    if runtime["name"]:
        spec["runtime"] = runtime
    metadata = {"name": advice.name, "labels": {"app.kubernetes.io/created-by": "servelab"}}
    document = {"apiVersion": "ome.io/v1beta1", "kind": "InferenceService", "metadata": metadata, "spec": spec}
    notes = [f"the {model['kind']} {model['name']} must be there: kubectl get {model['kind'].lower()}s"]
    notes.append("apply it with: kubectl apply --server-side -f (its definition is too large for the other way)")
    return commented([*comment_lines(advice), *notes]) + dump(document)


def modelservice_yaml(advice: Recommendation) -> str:
    """Values for the Helm chart llm-d-modelservice; names are of its values.yaml.

    Raises:
        ServelabError: the engine has no image.
    """
    inside = advice.container
    fields = container_fields(advice)
    devices = advice.accelerators
    resources = fields.get("resources", {})
    if devices:
        amount = {"nvidia.com/gpu": str(devices)}
        resources = {"limits": amount, "requests": {**resources.get("requests", {}), **amount}}
    container = {
        "name": advice.engine,
        "image": advice.image,
        "modelCommand": "custom",  # the chart's own command would add flags of its own
        "command": [unexpanded(word) for word in inside.entrypoint],
        "args": [unexpanded(word) for word in inside.arguments],
        "ports": [{"containerPort": advice.port, "name": "metrics", "protocol": "TCP"}],
        "env": environment(advice),
        "startupProbe": {**fields["startupProbe"], "httpGet": {"path": advice.ready_path, "port": "metrics"}},
        "readinessProbe": {**fields["readinessProbe"], "httpGet": {"path": advice.ready_path, "port": "metrics"}},
        "resources": resources,
        "mountModelVolume": True,
    }
    values = {
        "fullnameOverride": advice.name,
        "multinode": False,
        "accelerator": {"type": "nvidia" if devices else "cpu"},
        "modelArtifacts": _artifacts(advice),
        "routing": {"servicePort": advice.port, "proxy": {"enabled": False}},
        "decode": {
            "create": True,
            "replicas": 1,
            "parallelism": {"tensor": max(1, devices)},
            "containers": [{name: value for name, value in container.items() if value not in ([], {})}],
        },
        "prefill": {"create": False},
    }
    notes = [
        *container_notes(advice),
        "the chart asks for as many GPUs as parallelism.tensor says: that is all of them",
    ]
    install = f"helm install {advice.name} llm-d-modelservice/llm-d-modelservice -f FILE"
    return commented([*comment_lines(advice), *notes, install]) + dump(values)


def _artifacts(advice: Recommendation) -> dict[str, Any]:
    labels = {"llm-d.ai/inferenceServing": "true", "llm-d.ai/model": advice.name}
    found: dict[str, Any] = {"name": advice.model, "labels": labels}
    if advice.container.mounts:
        path = advice.container.mounts[0].target.removeprefix(f"{MODELS}/")
        return {**found, "uri": f"pvc://{advice.name}-models/{path}", "mountPath": MODELS}
    known = find_model(advice.model)
    size = f"{math.ceil(known.size * SPARE)}Gi" if known else UNKNOWN_SIZE
    secret = {"authSecretName": f"{advice.name}-env"} if "HF_TOKEN" in advice.environment_from else {}
    return {**found, "uri": f"hf://{advice.model}", "size": size, **secret}


def _with_model(arguments: Sequence[str], value: str, *, positional: bool) -> list[str]:
    """``arguments`` with ``value`` in the place of the model."""
    found = list(arguments)
    if positional:
        found[0] = value
        return found
    for index, word in enumerate(found):
        flag, equals, _ = word.partition("=")
        if flag in _MODEL_FLAGS:
            found[index + (not equals)] = f"{flag}={value}" if equals else value
    return found


def _reference(option: Any, kind: str, name: str) -> dict[str, str]:
    """A model or runtime as a study names it: by its name, or with a kind."""
    given = {"name": option} if isinstance(option, str) else dict(option or {})
    return {"kind": given.get("kind", kind), "name": given.get("name") or given.get("preset") or name}
