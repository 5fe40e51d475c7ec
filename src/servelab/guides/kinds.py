"""What kind each value of a guide has to be: of another kind, it would be read as nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from servelab.guides.parse import GuideError
from servelab.guides.tree import Node

Kind = Any
"""ONE, COUNT or WORDS; a mapping of fields that are known, ``*`` being all others; a list of one kind; None for any."""
ONE, COUNT, WORDS = "a single value", "a whole number", "a list of single values"

RESOURCES = {"requests": {"*": ONE}, "limits": {"*": ONE}}
CONTAINER = {
    "name": ONE, "image": ONE, "modelCommand": ONE, "imagePullPolicy": ONE, "command": WORDS, "args": WORDS,
    "env": [{"name": ONE}], "resources": RESOURCES, "volumeMounts": [{"name": ONE, "mountPath": ONE}],
    "extraConfig": {},
}  # fmt: skip
VOLUMES = [{"name": ONE}]
STAGE = {
    "create": ONE, "replicas": COUNT, "schedulerName": ONE, "annotations": {"*": ONE}, "podAnnotations": {"*": ONE},
    "parallelism": {"tensor": COUNT, "data": COUNT, "dataLocal": COUNT, "workers": COUNT},
    "containers": [CONTAINER], "volumes": VOLUMES, "extraConfig": {},
}  # fmt: skip
MODEL_VALUES = {
    "modelArtifacts": {"name": ONE, "uri": ONE, "size": ONE, "authSecretName": ONE},
    "routing": {
        "servicePort": ONE,
        "proxy": {"enabled": ONE, "image": ONE, "connector": ONE, "debugLevel": ONE},
    },
    "accelerator": {"type": ONE}, "multinode": ONE, "decode": STAGE, "prefill": STAGE,
}  # fmt: skip
POOL_VALUES = {
    "inferenceExtension": {
        "image": {"name": ONE, "hub": ONE, "tag": ONE},
        "pluginsConfigFile": ONE, "pluginsCustomConfig": {}, "flags": {},
        "monitoring": {"prometheus": {"enabled": ONE}},
    },
    "provider": {"name": ONE},
}  # fmt: skip
POD = {
    "metadata": {"annotations": {"*": ONE}},
    "spec": {"containers": [CONTAINER], "initContainers": [{"name": ONE}], "volumes": VOLUMES, "schedulerName": ONE},
}
WORKLOAD = {
    "metadata": {"name": ONE, "labels": {"*": ONE}},
    "spec": {
        "replicas": COUNT, "template": POD,
        "leaderWorkerTemplate": {"size": COUNT, "workerTemplate": POD},
    },
}  # fmt: skip


def check(node: Node, kind: Kind, path: str = "") -> None:
    """Whether a value and all in it are of their kinds; null is, and says nothing.

    Raises:
        GuideError: one is not.
    """
    if node.null or kind is None:
        return
    if isinstance(kind, Mapping):
        if not isinstance(node.content, Mapping):
            raise _wrong(node, path, "a mapping of fields")
        for name, value in node.content.items():
            check(value, kind.get(name, kind.get("*")), f"{path}.{name}".lstrip("."))
    elif isinstance(kind, list) or (kind == WORDS and node.scalar is None):
        if node.scalar is not None or isinstance(node.content, Mapping):
            raise _wrong(node, path, "a list")
        for index, item in enumerate(node.items):
            check(item, ONE if kind == WORDS else kind[0], f"{path}[{index}]")
    elif node.scalar is None or (kind == COUNT and not re.fullmatch(r"\d+", node.text)):
        raise _wrong(node, path, kind)


def _wrong(node: Node, path: str, wanted: str) -> GuideError:
    given = "a mapping" if isinstance(node.content, Mapping) else "a list" if node.scalar is None else repr(node.text)
    where = f"{node.span.file}:{node.span.first}: " if node.span else ""
    return GuideError(f"{where}{path or 'this'} is {given[:80]}, and must be {wanted}", "Mend the guide.")
