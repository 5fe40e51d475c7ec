"""A recommendation as YAML: docker compose, Kubernetes."""

from __future__ import annotations

import math
import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from servelab.catalog.containers import MODELS
from servelab.report.forms import comment_lines, commented, container_notes
from servelab.report.recommend import Recommendation

_CACHE = "/root/.cache/huggingface"
_PROBE_PERIOD = 10


_PLAIN = re.compile(r"[A-Za-z/][\w ./@-]*")
_NOT_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""Words that YAML 1.1, which Kubernetes reads, takes for something else than text."""


class _Representer(SafeRepresenter):
    """Quotes text that some version of YAML could take for something else."""

    def represent_str(self, data: str) -> Any:
        """A scalar, in quotes unless it is plain in every version."""
        plain = _PLAIN.fullmatch(data) and data.lower() not in _NOT_TEXT
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_Representer.add_representer(str, _Representer.represent_str)


def dump(*documents: dict[str, Any]) -> str:
    """Documents as YAML that every version of it reads alike."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    yaml.representer.ignore_aliases = lambda _: True
    stream = StringIO()
    yaml.dump_all(documents, stream)
    return stream.getvalue()


def compose_yaml(advice: Recommendation) -> str:
    """A docker compose file.

    Raises:
        ServelabError: the engine has no image.
    """
    inside = advice.container
    service: dict[str, Any] = {
        "image": _literal(advice.image or ""),
        "entrypoint": [_literal(word) for word in inside.entrypoint],
        "command": [_literal(word) for word in inside.arguments],
        "ports": [f"127.0.0.1:{advice.port}:{advice.port}"],
        "restart": "unless-stopped",
    }
    environment = {name: _literal(value) for name, value in advice.environment.items()}
    # A variable without a value is passed on from the shell that starts compose.
    environment |= dict.fromkeys(advice.environment_from)  # type: ignore[arg-type]
    if environment:
        service["environment"] = environment
    service["volumes"] = [
        {"type": "bind", "source": _literal(mount.source), "target": mount.target, "read_only": True}
        for mount in inside.mounts
    ] or [f"${{HOME}}/.cache/huggingface:{_CACHE}"]
    if advice.accelerators:
        device = {"driver": "nvidia", "count": advice.accelerators, "capabilities": ["gpu"]}
        service |= {"ipc": "host", "deploy": {"resources": {"reservations": {"devices": [device]}}}}
    notes = commented([*comment_lines(advice), *container_notes(advice)])
    return notes + dump({"name": advice.name, "services": {"server": service}})


def _literal(text: str) -> str:
    """``text`` with compose's own variable substitution switched off."""
    return text.replace("$", "$$")


def kubernetes_yaml(advice: Recommendation) -> str:
    """A Kubernetes Deployment and its Service.

    Raises:
        ServelabError: the engine has no image.
    """
    labels = {"app.kubernetes.io/name": advice.engine, "app.kubernetes.io/instance": advice.name}
    metadata = {"name": advice.name, "labels": {**labels, "app.kubernetes.io/created-by": "servelab"}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {"servelab/study": advice.study}},
                "spec": {"containers": [container_fields(advice)], "volumes": _volumes(advice)},
            },
        },
    }
    port = {"name": "http", "port": advice.port, "targetPort": "http", "protocol": "TCP"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": labels, "ports": [port]},
    }
    return commented([*comment_lines(advice), *_kubernetes_notes(advice)]) + dump(deployment, service)


def _kubernetes_notes(advice: Recommendation) -> list[str]:
    notes = container_notes(advice)
    if advice.container.mounts:
        files = ", ".join(mount.target.removeprefix(f"{MODELS}/") for mount in advice.container.mounts)
        notes.append(f"put {files} on a volume and claim it as PersistentVolumeClaim {advice.name}-models")
    else:
        notes.append("the model is downloaded at each start of the pod; put the cache on a claim to keep it")
    if advice.environment_from:
        names = " ".join(f"--from-file={name}=FILE-THAT-HOLDS-IT" for name in advice.environment_from)
        notes.append(f"create the secret first: kubectl create secret generic {advice.name}-env {names}")
    return notes


def container_fields(advice: Recommendation) -> dict[str, Any]:
    """The engine's container.

    Raises:
        ServelabError: the engine has no image.
    """
    inside = advice.container
    probe = {"httpGet": {"path": advice.ready_path, "port": "http"}, "periodSeconds": _PROBE_PERIOD}
    starts = {**probe, "failureThreshold": math.ceil(advice.ready_timeout / _PROBE_PERIOD)}
    container: dict[str, Any] = {
        "name": "server",
        "image": advice.image,
        "command": [unexpanded(word) for word in inside.entrypoint],
        "args": [unexpanded(word) for word in inside.arguments],
        "ports": [{"name": "http", "containerPort": advice.port, "protocol": "TCP"}],
        "env": environment(advice),
        "startupProbe": starts,
        "readinessProbe": dict(probe),
        "resources": _resources(advice),
        "volumeMounts": _volume_mounts(advice),
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    return {key: value for key, value in container.items() if value not in ([], {})}


def environment(advice: Recommendation) -> list[dict[str, Any]]:
    """The engine's variables; secrets by reference."""
    found: list[dict[str, Any]] = [
        {"name": name, "value": unexpanded(value)} for name, value in advice.environment.items()
    ]
    found += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": f"{advice.name}-env", "key": name}}}
        for name in advice.environment_from
    ]
    return found


def unexpanded(text: str) -> str:
    """``text`` with Kubernetes' own $(NAME) substitution switched off."""
    return text.replace("$(", "$$(")


def _resources(advice: Recommendation) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(advice.accelerators)} if advice.accelerators else {}
    requests: dict[str, Any] = {}
    if advice.resources.cpus:
        requests["cpu"] = str(advice.resources.cpus)
    if advice.resources.memory_gb:
        requests["memory"] = f"{advice.resources.memory_gb * 1000:.0f}M"
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}


def _volume_mounts(advice: Recommendation) -> list[dict[str, Any]]:
    local = bool(advice.container.mounts)
    found: list[dict[str, Any]] = [{"name": "models", "mountPath": MODELS if local else _CACHE}]
    if local:
        found[0]["readOnly"] = True
    if advice.accelerators:
        found.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108 - where engines exchange tensors
    return found


def _volumes(advice: Recommendation) -> list[dict[str, Any]]:
    claim = {"persistentVolumeClaim": {"claimName": f"{advice.name}-models", "readOnly": True}}
    found: list[dict[str, Any]] = [{"name": "models", **(claim if advice.container.mounts else {"emptyDir": {}})}]
    if advice.accelerators:
        found.append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})
    return found
