"""Which cluster is meant, and as whom: kubeconfig files as kubectl reads them, or the pod that we run in."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from servelab.kube.names import check_namespace
from servelab.spec.errors import ClusterError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_NAMESPACE = "default"

_LISTS = ("clusters", "users", "contexts")
_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_MEND = "Mend the kubeconfig: kubectl config set-context, or your provider's tool."
_NO_CLUSTER = (
    "Set KUBECONFIG, or put your cluster's kubeconfig at ~/.kube/config; `kubectl config view` shows what it finds."
)


@dataclass(frozen=True)
class Access:
    """A cluster and a user, as a kubeconfig describes them. ``user`` holds secrets: it is never shown."""

    server: str
    context: str
    namespace: str
    cluster: dict[str, Any] = field(repr=False)
    user: dict[str, Any] = field(repr=False)


def find_access(context: str = "", kubeconfig: Path | None = None, namespace: str = "") -> Access:
    """The access by file, ``KUBECONFIG``, ``~/.kube/config`` or the pod's service account, the first that is there.

    Raises:
        ClusterError: there is none, it is damaged, or it has no such context.
    """
    files = _files(kubeconfig)
    if not files and (SERVICE_ACCOUNT / "token").exists() and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _in_pod(namespace)
    if not files:
        raise ClusterError("no kubeconfig was found, and this is no pod in a cluster", _NO_CLUSTER)
    named = ":".join(str(file) for file in files)
    try:
        return _choose(_merge(files), context, namespace)
    except (YAMLError, KeyError, TypeError, AttributeError, ValueError, UnicodeDecodeError) as error:
        raise ClusterError(
            f"the kubeconfig {named} is damaged: {type(error).__name__}: {error}", _NO_CLUSTER
        ) from error
    except OSError as error:
        raise ClusterError(f"the kubeconfig {named} cannot be read: {error.strerror}", _NO_CLUSTER) from error


def _files(kubeconfig: Path | None) -> list[Path]:
    if kubeconfig is not None:
        return [kubeconfig]
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return [file for file in listed or [Path("~/.kube/config").expanduser()] if file.exists()]


def _merge(files: list[Path]) -> dict[str, Any]:
    """One document of several: the first to name a thing wins, paths are relative to their own file."""
    merged: dict[str, Any] = {"current-context": "", **{name: {} for name in _LISTS}}
    for file in files:
        document = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")) or {}
        merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
        for name in _LISTS:
            for entry in document.get(name) or []:
                value = entry.get(name.removesuffix("s")) or {}
                merged[name].setdefault(entry["name"], _absolute(value, file.resolve().parent))
    return merged


def _absolute(value: dict[str, Any], directory: Path) -> dict[str, Any]:
    paths: dict[str, Any] = {key: str(directory / value[key]) for key in _PATHS if value.get(key)}
    plugin = value.get("exec")
    if plugin and os.sep in plugin["command"]:
        paths["exec"] = {**plugin, "command": str(directory / plugin["command"])}
    return {**value, **paths}


def _choose(merged: dict[str, Any], context: str, namespace: str) -> Access:
    chosen = context or merged["current-context"]
    contexts = merged["contexts"]
    if not chosen:
        raise ClusterError("the kubeconfig has no current context", f"Choose one with --context: {_list(contexts)}.")
    if chosen not in contexts:
        raise ClusterError(f"the kubeconfig has no context {chosen!r}", f"It has {_list(contexts)}.")
    entry = contexts[chosen]
    cluster = merged["clusters"].get(entry.get("cluster"))
    if cluster is None:
        raise ClusterError(f"context {chosen!r} names the cluster {entry.get('cluster')!r}, which is not there", _MEND)
    if entry.get("user") and entry["user"] not in merged["users"]:
        raise ClusterError(f"context {chosen!r} names the user {entry['user']!r}, which is not there", _MEND)
    space = check_namespace(namespace or entry.get("namespace") or DEFAULT_NAMESPACE)
    server = str(cluster["server"]).rstrip("/")
    return Access(server, chosen, space, cluster, merged["users"].get(entry.get("user"), {}))


def _list(contexts: dict[str, Any]) -> str:
    return ", ".join(sorted(contexts)) or "none"


def _in_pod(namespace: str) -> Access:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    own = SERVICE_ACCOUNT / "namespace"
    space = namespace or (own.read_text(encoding="utf-8").strip() if own.exists() else DEFAULT_NAMESPACE)
    cluster = {"certificate-authority": str(SERVICE_ACCOUNT / "ca.crt")}
    user = {"tokenFile": str(SERVICE_ACCOUNT / "token")}
    return Access(f"https://{host}:{port}", "in-cluster", check_namespace(space), cluster, user)
