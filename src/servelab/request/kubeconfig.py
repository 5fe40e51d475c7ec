"""What kubectl would use: a context, and its namespace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def current_namespace() -> str | None:
    """The namespace of the kubeconfig's current context, or None where there is none to be read.

    Only one that the context names: "default", which kubectl falls back to, is nobody's choice.
    """
    configs = _configs()
    current = _current(configs)
    listed_contexts = [config["contexts"] for config in configs if isinstance(config.get("contexts"), list)]
    for entry in (entry for contexts in listed_contexts for entry in contexts):
        if isinstance(entry, dict) and entry.get("name") == current and isinstance(entry.get("context"), dict):
            namespace = entry["context"].get("namespace")
            return namespace if isinstance(namespace, str) else None
    return None


def has_context() -> bool:
    """Whether a kubeconfig names a current context: a cluster that may be asked."""
    return _current(_configs()) is not None


def _configs() -> list[dict[str, Any]]:
    listed = os.environ.get("KUBECONFIG", "")
    paths = [Path(path) for path in listed.split(os.pathsep) if path] or [Path.home() / ".kube" / "config"]
    return [config for path in paths if (config := _read(path)) is not None]


def _current(configs: list[dict[str, Any]]) -> Any:
    return next((config["current-context"] for config in configs if config.get("current-context")), None)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError):
        return None
    return found if isinstance(found, dict) else None
