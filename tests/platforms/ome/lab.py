"""A model and a runtime for tests: pods that run this machine's Python, in the image that is empty but for links."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from servelab.kube.kinds import Manifest
from servelab.platforms.ome.kinds import CONTAINER, VERSION

ROOT = Path(__file__).resolve().parents[3]
IMAGE = "lab.local/host:1"
MODEL = "smollm2-135m-instruct"


def host() -> tuple[list[Manifest], list[Manifest]]:
    """Volumes and mounts of this machine's programs, read-only."""
    paths = dict.fromkeys(("/usr", str(ROOT), sys.base_prefix, str(Path(sys.prefix).resolve())))
    kept = [path for path in paths if not any(path != other and Path(path).is_relative_to(other) for other in paths)]
    volumes = [{"name": f"host-{i}", "hostPath": {"path": path}} for i, path in enumerate(kept)]
    mounts = [{"name": f"host-{i}", "mountPath": path, "readOnly": True} for i, path in enumerate(kept)]
    return volumes, mounts


def base_model() -> Manifest:
    """The ClusterBaseModel; the simulated engine needs no files."""
    spec = {
        "modelArchitecture": "LlamaForCausalLM",
        "modelFormat": {"name": "safetensors", "version": "1.0.0"},
        "storage": {"storageUri": "hf://HuggingFaceTB/SmolLM2-135M-Instruct", "path": "/mnt/models/smollm2"},
    }
    return {"apiVersion": VERSION, "kind": "ClusterBaseModel", "metadata": {"name": MODEL}, "spec": spec}


def runtime(name: str = "host", **runner: Any) -> Manifest:
    """A ClusterServingRuntime as a cluster has it, with a command of its own that is never to run."""
    volumes, mounts = host()
    container = {
        "name": CONTAINER,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["/usr/bin/false"],
        "args": ["--tp-size=1"],
        "env": [{"name": "PATH", "value": f"{sys.prefix}/bin:/usr/bin:/bin"}],
        "volumeMounts": mounts,
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
        **runner,
    }
    supported = {
        "modelFramework": {"name": "transformers", "version": "4.42.3"},
        "modelFormat": {"name": "safetensors", "version": "1.0.0"},
        "modelArchitecture": "LlamaForCausalLM",
        "autoSelect": True,
    }
    spec = {"supportedModelFormats": [supported], "engineConfig": {"volumes": volumes, "runner": container}}
    return {"apiVersion": VERSION, "kind": "ClusterServingRuntime", "metadata": {"name": name}, "spec": spec}
