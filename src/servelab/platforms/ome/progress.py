"""How far a service is: from its own status, its pods, and their engine's container."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from servelab.kube.containers import HOPELESS, container_statuses, doing, waiting_for
from servelab.kube.kinds import Manifest
from servelab.kube.labels import label
from servelab.platforms.ome.kinds import COMPONENT, CONTAINER, ENGINE
from servelab.spec.deployment import Failure

Stage = Literal["pod", "scheduled", "started", "ready"]
"""What is waited for."""

_SIGNALS = 128  # an exit code above it is a signal's number and this
_FAILED_LOADS = ("BlockedByFailedLoad", "InvalidSpec")


@dataclass(frozen=True)
class Ended:
    """The engine's container ended; ``restarted``: its log is the one before the restart. Negative for a signal."""

    code: int
    restarted: bool
    reason: str = ""


@dataclass(frozen=True)
class Progress:
    """Where a service is. ``text`` says in a line what it waits for."""

    stage: Stage
    text: str
    pod: Manifest | None = None
    running: bool = False
    ready: bool = False
    ended: Ended | None = None
    failure: Failure | None = None


def progress(service: Manifest, pods: Sequence[Manifest]) -> Progress:
    """What is known of a service now."""
    engines = [
        pod for pod in pods if label(pod, COMPONENT) in ("", ENGINE) and not pod["metadata"].get("deletionTimestamp")
    ]
    if not engines:
        return _without_pods(service)
    pod = max(engines, key=lambda one: str(one["metadata"].get("creationTimestamp", "")))
    name = pod["metadata"]["name"]
    engine = engine_status(pod)
    if not (pod.get("spec") or {}).get("nodeName"):
        return Progress(
            "scheduled", f"pod {name} waits for a node: {doing(pod) or 'the scheduler has not seen it'}", pod
        )
    ended = ended_engine(engine) if engine else None
    if ended is not None:
        failure = _out_of_memory(name) if ended.reason == "OOMKilled" else None
        return Progress("ready", f"the engine in pod {name} ended", pod, ended=ended, failure=failure)
    failure = _hopeless(pod)
    if failure or engine is None or "running" not in (engine.get("state") or {}):
        text = f"pod {name} starts: {_starting(pod)}"
        return Progress("started", text, pod, failure=failure)
    if not engine.get("ready"):
        return Progress("ready", f"the engine in pod {name} loads its model", pod, running=True)
    ready = condition(service, "Ready")
    if ready.get("status") != "True":
        said = ready.get("message") or ready.get("reason") or "nothing yet"
        return Progress("ready", f"the engine is ready; OME says of the service: {said}", pod, running=True)
    return Progress("ready", f"the service is Ready; its engine in pod {name} is asked", pod, running=True, ready=True)


def engine_status(pod: Manifest) -> dict[str, Any] | None:
    """The status of the engine's container; None before there is one."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return next((one for one in statuses if one["name"] == CONTAINER), None)


def ended_engine(engine: dict[str, Any]) -> Ended | None:
    """How an engine's container ended, now or before it was restarted; None while its first one runs."""
    restarted = bool(engine.get("restartCount"))
    now, before = ((engine.get(name) or {}).get("terminated") for name in ("state", "lastState"))
    told = now or (before if restarted else None)
    if told is None:
        return Ended(-9, restarted=True) if restarted else None
    code = int(told.get("exitCode", 0))
    return Ended(_SIGNALS - code if code > _SIGNALS else code, restarted and now is None, str(told.get("reason", "")))


def condition(item: Manifest, name: str) -> dict[str, Any]:
    """A condition of an object's status; empty where it has none of that name."""
    found = (item.get("status") or {}).get("conditions") or []
    return next((dict(one) for one in found if one.get("type") == name), {})


def _without_pods(service: Manifest) -> Progress:
    model = (service.get("status") or {}).get("modelStatus") or {}
    info = model.get("lastFailureInfo") or {}
    said = ": ".join(filter(None, (info.get("reason"), info.get("message"))))
    ready = condition(service, "Ready")
    said = said or str(ready.get("message") or ready.get("reason") or "it says nothing yet")
    if model.get("transitionStatus") in _FAILED_LOADS:
        return Progress("pod", said, failure=_refused(service, said))
    if ready.get("status") == "True":
        said = "it says Ready, and there is no pod"
    return Progress("pod", f"OME has made no pod yet: {said}")


def _refused(service: Manifest, said: str) -> Failure:
    return Failure(
        kind="unsupported",
        stage="ready",
        message=f"OME does not serve {service['metadata']['name']}: {said}",
        remedy="servelab doctor --platform ome lists the models and runtimes that are there; a model's modelFormat, "
        "modelFramework and modelArchitecture must be among its runtime's supportedModelFormats.",
    )


def _hopeless(pod: Manifest) -> Failure | None:
    """What a container waits for in vain; a first failed pull is tried again by Kubernetes."""
    for container in container_statuses(pod):
        reason = waiting_for(container)
        if reason not in HOPELESS or reason == "ErrImagePull":
            continue
        message = container["state"]["waiting"].get("message", "")
        if reason == "CreateContainerConfigError":
            remedy = "Correct what the pod refers to: a Secret or ConfigMap that is not there, or lacks a key."
            return Failure(kind="bad_argument", stage="ready", message=f"{reason}: {message}", remedy=remedy)
        return Failure(
            kind="image_pull",
            stage="ready",
            message=f"the image {container.get('image', '')} cannot be had ({reason})",
            remedy="Correct its name, let the nodes reach the registry (proxy), or name an image that they have: "
            "engine.image, or the runtime's.",
            evidence=message,
        )
    return None


def _starting(pod: Manifest) -> str:
    waiting = doing(pod)
    return waiting if waiting and "unready status" not in waiting else "its image is pulled, its volumes are mounted"


def _out_of_memory(pod: str) -> Failure:
    return Failure(
        kind="out_of_memory",
        stage="ready",
        message=f"pod {pod} was ended for more memory than its limit",
        remedy="Raise engine.resources.memory_gb, or the limit of the runtime.",
    )
