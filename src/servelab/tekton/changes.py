"""Changes to an experiment by engine parameter, written into its values and its study; comments and order stay."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from servelab.spec.base import Value
from servelab.spec.errors import DocumentError
from servelab.tekton.treatments import treatment_settings

PARALLELISM = "tensor_parallel_size"
IMAGE = "image"
MEMORY = "memory"
STARTUP = "startup_probes"
OUTSIDE_STUDY = (MEMORY, STARTUP)
"""What the values say and a study does not; of memory, it may."""

_SCALARS = {
    "max_model_len": "MAX_MODEL_LEN",
    "max_num_batched_tokens": "MAX_NUM_BATCHED_TOKENS",
    "max_num_seqs": "MAX_NUM_SEQS",
}
_WORDS = {PARALLELISM: "TP", "tp_size": "TP", STARTUP: "startup probes"}
_REMEDY = "Name an engine argument of this experiment, as max_model_len=4096; servelab engines vllm lists them."


@dataclass(frozen=True)
class Change:
    """A parameter's value before and after; None: not set."""

    parameter: str
    before: Value | None
    after: Value | None

    def __str__(self) -> str:
        name = _WORDS.get(self.parameter, self.parameter)
        if self.before is None:
            return f"{name}={self.after}"
        return f"{name}={self.before} -> {self.after}" if self.after is not None else f"{name}={self.before} -> unset"


def parameters(values: Mapping[str, Any], trial: str) -> dict[str, Value]:
    """The engine's parameters in a values file, for the treatment with the name ``trial``."""
    stack = _map(values.get("stack"))
    container = _container(values)
    found: dict[str, Value] = {name: stack[key] for name, key in _SCALARS.items() if key in stack}
    sizes = _map(stack.get("treatments")).get("tensorParallelism")
    size = next((one for one in sizes if str(one) == trial), None) if isinstance(sizes, list) else None
    if size is not None:
        found[PARALLELISM] = size
    for word in container.get("args") or []:
        flag, _, value = str(word).partition("=")
        if flag.startswith("--"):
            found[_parameter(flag)] = value or True
    if container.get("image"):
        found[IMAGE] = container["image"]
    memory = _map(_map(container.get("resources")).get("limits")).get("memory")
    if memory:
        found[MEMORY] = memory
    probe = _map(_map(container.get("extraConfig")).get("startupProbe"))
    if "failureThreshold" in probe:
        found[STARTUP] = probe["failureThreshold"]
    return {**found, **treatment_settings(values, trial)}


def changed_values(text: str, change: Change) -> str:
    """The text of a values file with a change in it.

    Raises:
        DocumentError: it has no place for this parameter.
    """
    tree = _load(text)
    stack, container = _map(tree.get("stack")), _container(tree)
    if change.parameter == PARALLELISM:
        _replace_size(_map(stack.get("treatments")), change)
    elif change.parameter in _SCALARS:
        stack[_SCALARS[change.parameter]] = change.after
    elif not container:
        raise DocumentError((f"the values have no engine container for {change.parameter}",), _REMEDY)
    elif change.parameter == IMAGE:
        container["image"] = change.after
    elif change.parameter == MEMORY:
        for kind in ("limits", "requests"):
            container.setdefault("resources", CommentedMap()).setdefault(kind, CommentedMap())["memory"] = change.after
    elif change.parameter == STARTUP:
        container["extraConfig"]["startupProbe"]["failureThreshold"] = change.after
    else:
        _set_argument(container, change)
    return _dump(tree)


def changed_study(text: str, change: Change) -> str:
    """The text of a study with a change in it: in its treatments or factors, else in its engine's arguments."""
    tree = _load(text)
    name = change.parameter
    treatments = [one for one in tree.get("treatments") or [] if name in one]
    factors = _map(tree.get("factors"))
    if name == IMAGE:
        _engine(tree)["image"] = change.after
    elif name in OUTSIDE_STUDY:
        resources = _map(_engine(tree).get("resources"))
        if name != MEMORY or "memory_gb" not in resources:
            return text
        resources["memory_gb"] = int(re.sub(r"\D", "", str(change.after)))
    elif treatments:
        for treatment in treatments:
            if treatment[name] == change.before:
                treatment[name] = change.after
        tree["treatments"][:] = _distinct(tree["treatments"])
    elif name in factors:
        factors[name] = _distinct(change.after if level == change.before else level for level in factors[name])
    else:
        arguments = _engine(tree).setdefault("arguments", CommentedMap())
        if change.after is None:
            arguments.pop(name, None)
        else:
            arguments[name] = change.after
    return _dump(tree)


def renamed_run(text: str, name: str, namespace: str = "") -> str:
    """The text of a PipelineRun under another name, which is also its experiment's id.

    Raises:
        DocumentError: it is no PipelineRun.
    """
    tree = _load(text)
    if tree.get("kind") != "PipelineRun" or not isinstance(tree.get("spec"), dict):
        raise DocumentError(("the document is no PipelineRun",), "Give one with --pipelinerun; see docs/cluster.md.")
    metadata = tree.setdefault("metadata", CommentedMap())
    metadata.pop("generateName", None)
    metadata["name"] = name
    if namespace:
        metadata["namespace"] = namespace
    wanted = {"experimentId": name, **({"namespace": namespace} if namespace else {})}
    for parameter in tree["spec"].get("params") or []:
        if parameter.get("name") in wanted:
            parameter["value"] = wanted[parameter["name"]]
    return _dump(tree)


def _replace_size(treatments: dict[str, Any], change: Change) -> None:
    sizes = treatments.get("tensorParallelism")
    if not isinstance(sizes, list):
        raise DocumentError(("the values have no stack.treatments.tensorParallelism",), _REMEDY)
    sizes[:] = _distinct(change.after if size == change.before else size for size in sizes)


def _distinct(items: Iterable[Any]) -> list[Any]:
    """Each once: what became like another by a change would only be deployed and measured twice."""
    found: list[Any] = []
    for item in items:
        if not any(item == one and type(item) is type(one) for one in found):
            found.append(item)
    return found


def _set_argument(container: dict[str, Any], change: Change) -> None:
    flag = "--" + change.parameter.replace("_", "-")
    args = container.setdefault("args", CommentedSeq())
    kept = [word for word in args if str(word).partition("=")[0] != flag]
    if change.after is not None and change.after is not False:
        kept.append(flag if change.after is True else f"{flag}={change.after}")
    args[:] = kept


def _parameter(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _container(values: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's container: the one named vllm, else the first."""
    decode = _map(_map(_map(_map(values.get("stack")).get("model")).get("helmValues")).get("decode"))
    containers = [one for one in decode.get("containers") or [] if isinstance(one, dict)]
    return next((one for one in containers if one.get("name") == "vllm"), containers[0] if containers else {})


def _engine(tree: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(tree.get("engine"), dict):
        tree["engine"] = CommentedMap(name=tree.get("engine"))
    engine: dict[str, Any] = tree["engine"]
    return engine


def _map(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _yaml() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _load(text: str) -> Any:
    tree = _yaml().load(text)
    if not isinstance(tree, dict):
        raise DocumentError(("the document is no mapping",), "See docs/cluster.md.")
    return tree


def _dump(tree: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(tree, stream)
    return stream.getvalue()
