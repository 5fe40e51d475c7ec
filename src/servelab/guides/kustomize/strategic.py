"""Strategic merge patches, as kustomize applies them.

Elements of the lists that Kubernetes knows by a key are merged by it, those of the patch first; other lists, and all
lists of kinds whose schema kustomize does not have (as LeaderWorkerSet), are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from servelab.guides.tree import Node

KNOWN = frozenset(
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod", "Service", "ServiceAccount")
)
"""Kinds whose schema says how their lists merge."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "secrets": ("name",),
}
_DIRECTIVE = "$patch"


def merged(target: Node, patch: Node, known: bool, field: str = "") -> Node | None:
    """The target with the patch over it; None where the patch deletes it.

    ``known`` says whether lists merge by their keys.
    """
    if patch.null:
        return None
    directive = patch.map[_DIRECTIVE].text if _DIRECTIVE in patch.map else ""
    if directive == "delete":
        return None
    if isinstance(patch.content, Mapping):
        rest = {name: value for name, value in patch.map.items() if not name.startswith("$")}
        if directive == "replace" or not isinstance(target.content, Mapping):
            return replace(patch, content={name: one for name, value in rest.items() if (one := _new(value))})
        fields = dict(target.map)
        for name, value in rest.items():
            found = merged(fields[name], value, known, name) if name in fields else _new(value)
            if found is None:
                fields.pop(name, None)
            else:
                fields[name] = found
        return replace(target, content=fields)
    if isinstance(patch.content, Sequence) and known and field in KEYS and target.items:
        return replace(target, content=_by_key(target.items, patch.items, KEYS[field]))
    return patch


def _new(value: Node) -> Node | None:
    """What a patch adds where nothing was; its directives go, and what it deletes is not there anyway."""
    if value.null or (_DIRECTIVE in value.map and value.map[_DIRECTIVE].text == "delete"):
        return None
    if isinstance(value.content, Mapping):
        fields = {n: one for n, v in value.map.items() if not n.startswith("$") and (one := _new(v))}
        return replace(value, content=fields)
    return value


def _by_key(target: Sequence[Node], patch: Sequence[Node], keys: tuple[str, ...]) -> list[Node]:
    if any(_DIRECTIVE in one.map and one.map[_DIRECTIVE].text == "replace" for one in patch):
        return [one for one in patch if _DIRECTIVE not in one.map]
    there = {_key(one, keys): one for one in target}
    changed = {_key(one, keys): one for one in patch}
    result = []
    for key, change in changed.items():
        found = merged(there[key], change, known=True) if key in there else _new(change)
        if found is not None:
            result.append(found)
    return [*result, *(one for key, one in there.items() if key not in changed)]


def _key(element: Node, keys: tuple[str, ...]) -> str:
    return next((element.map[key].text for key in keys if key in element.map), element.text)
