"""A trial as an InferenceService."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from servelab.catalog.models import dns_name
from servelab.kube.kinds import Manifest
from servelab.kube.labels import STUDY, TRIAL, marked
from servelab.platforms.ome.kinds import CONTAINER, INFERENCE_SERVICE
from servelab.platforms.ome.options import OmeOptions
from servelab.spec.deployment import Launch, Mark
from servelab.spec.errors import DeployError

ATTEMPT = "servelab/attempt"
OWNER = "servelab/owner"
"""Annotation with the process that waits for it, as ``machine/pid/start``."""

RUNTIME_IMAGE = "(the runtime's)"
"""Stands for the image of the serving runtime, where the study names none."""

_LONGEST = 40  # OME makes names and labels of this one, of which none may have more than 63 characters
_SERIAL = 5  # characters at the end of a study's id that no other has
_NOT_OURS = re.compile(r"\$\((?!MODEL_PATH\))")


def object_name(mark: Mark) -> str:
    """The name of a trial's objects."""
    study = mark.study
    if len(study) > _LONGEST:
        study = f"{study[: _LONGEST - _SERIAL - 1].rstrip('-')}-{study[-_SERIAL:]}"
    return f"{study}-t{mark.trial}"


def selector(mark: Mark) -> dict[str, str | None]:
    """The labels of what belongs to a trial."""
    return {STUDY: mark.study, TRIAL: str(mark.trial)}


def inference_service(launch: Launch, mark: Mark, options: OmeOptions, owner: str) -> Manifest:
    """The InferenceService: the runtime's engine, with our command in place of its own, once and without scaling.

    Raises:
        DeployError: the study asks for what has no place in a cluster.
    """
    runner = merged({"name": CONTAINER}, _runner(launch, mark, options))
    engine = merged({"minReplicas": 1, "maxReplicas": 1, "runner": runner}, options.engine)
    model = options.model.name or dns_name(launch.model)
    spec: dict[str, Any] = {"model": {"kind": options.model.kind, "name": model}, "engine": engine}
    if options.runtime.name:
        spec["runtime"] = {"kind": options.runtime.kind, "name": options.runtime.name}
    manifest = {
        "apiVersion": INFERENCE_SERVICE.api_version,
        "kind": INFERENCE_SERVICE.name,
        "metadata": {
            "name": object_name(mark),
            "labels": {ATTEMPT: str(mark.attempt)},
            "annotations": {OWNER: owner},
        },
        "spec": spec,
    }
    return marked(manifest, mark.study, str(mark.trial))


def _runner(launch: Launch, mark: Mark, options: OmeOptions) -> dict[str, Any]:
    # Both lists, as neither replaces the other: OME's own runtimes have everything in command, others in args.
    program = 3 if launch.command[1:2] == ("-m",) else 1
    words = [_unexpanded(word) for word in launch.command]
    runner = {
        "command": words[:program],
        "args": words[program:],
        "env": _environment(launch, mark, options),
        "ports": [{"containerPort": launch.address.port, "protocol": "TCP"}],
        "resources": _resources(launch, options),
    }
    if launch.image not in (None, RUNTIME_IMAGE):
        runner["image"] = launch.image
    return {name: value for name, value in runner.items() if value}


def _environment(launch: Launch, mark: Mark, options: OmeOptions) -> list[dict[str, Any]]:
    if "CUDA_VISIBLE_DEVICES" in launch.environment:
        raise DeployError(
            "CUDA_VISIBLE_DEVICES has no place in a cluster: Kubernetes says which accelerators a pod sees",
            "Leave it out of engine.environment; engine.resources.accelerators says how many.",
        )
    if launch.environment_from and not options.secret:
        names = " ".join(f"--from-file={name}=FILE-THAT-HOLDS-IT" for name in launch.environment_from)
        raise DeployError(
            f"the study passes on {', '.join(launch.environment_from)}, and a manifest is no place for a secret",
            f"Create one (kubectl create secret generic engine {names}, from a file without a line end) and name it: "
            "platform.options.secret: engine",
        )
    plain = launch.environment | mark.environment
    found: list[dict[str, Any]] = [{"name": name, "value": _unexpanded(value)} for name, value in plain.items()]
    for name in launch.environment_from:
        found.append({"name": name, "valueFrom": {"secretKeyRef": {"name": options.secret, "key": name}}})
    return found


def _resources(launch: Launch, options: OmeOptions) -> dict[str, Any]:
    """What the study says; the runtime's own stays where it says nothing."""
    devices = {options.resource: str(launch.accelerators)} if launch.accelerators else {}
    requests = dict(devices)
    if launch.resources.cpus:
        requests["cpu"] = str(launch.resources.cpus)
    if launch.resources.memory_gb:
        requests["memory"] = f"{launch.resources.memory_gb * 1000:.0f}M"
    limits = {name: value for name, value in requests.items() if name != "cpu"}
    return {name: value for name, value in (("requests", requests), ("limits", limits)) if value}


def _unexpanded(text: str) -> str:
    """``text`` with Kubernetes' own $(NAME) substitution switched off, but for the model's path."""
    return _NOT_OURS.sub("$$(", text)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the fields of ``over``: mappings field by field, lists with a ``name`` item by item."""
    found = dict(base)
    for name, value in over.items():
        before = found.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            found[name] = merged(before, value)
        elif isinstance(before, list) and isinstance(value, list) and _have_names([*before, *value]):
            kept = {item["name"]: item for item in before}
            found[name] = list((kept | {item["name"]: item for item in value}).values())
        else:
            found[name] = value
    return found


def _have_names(items: list[Any]) -> bool:
    return all(isinstance(item, Mapping) and "name" in item for item in items)
