"""How the containers of a pod are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from servelab.kube.kinds import Manifest

HOPELESS = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
"""What a container may wait for in vain."""


def container_statuses(pod: Manifest) -> Iterable[dict[str, Any]]:
    """The statuses of a pod's containers, init containers first."""
    status = pod.get("status") or {}
    for name in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(name) or []


def waiting_for(container: dict[str, Any]) -> str:
    """Why a container does not start, as ``ImagePullBackOff``; empty when it does not wait, or just begins."""
    reason = ((container.get("state") or {}).get("waiting") or {}).get("reason", "")
    return "" if reason in ("ContainerCreating", "PodInitializing") else str(reason)


def doing(pod: Manifest) -> str:
    """What keeps a pod from running, as far as it is known; empty when it is not."""
    for container in container_statuses(pod):
        if reason := waiting_for(container):
            return f"{reason}: {container['state']['waiting'].get('message', '')}"
    status = pod.get("status") or {}
    told = [one.get("message", "") for one in status.get("conditions") or [] if one.get("status") == "False"]
    return str(status.get("message") or next(filter(None, told), ""))
