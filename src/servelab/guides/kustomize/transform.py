"""What a kustomization does to all its objects: names, labels, images, replicas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from servelab.guides.kustomize.resource import Resource, everywhere, pod_templates, put
from servelab.guides.tree import Node, Scalar

SCALED = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
UNPREFIXED = ("CustomResourceDefinition", "APIService", "Namespace")
SELECTING = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")


def namespaced(resources: Iterable[Resource], namespace: Node) -> list[Resource]:
    """All objects in a namespace."""
    unscoped = ("Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PersistentVolume")
    return [
        one if one.kind in unscoped else replace(one, node=put(one.node, ("metadata", "namespace"), namespace))
        for one in resources
    ]


def affixed(resources: list[Resource], prefix: str, suffix: str) -> list[Resource]:
    """All names between a prefix and a suffix, and what refers to them."""
    if not prefix and not suffix:
        return resources
    return renamed(
        resources,
        {(one.kind, one.name): f"{prefix}{one.name}{suffix}" for one in resources if one.kind not in UNPREFIXED},
    )


def renamed(resources: list[Resource], names: Mapping[tuple[str, str], str]) -> list[Resource]:
    """Objects with new names, by kind and old name, and what refers to them."""
    result = []
    for one in resources:
        new = names.get((one.kind, one.name))
        own = one.renamed(new) if new is not None and new != one.name else one
        result.append(replace(own, node=_referring(own.node, names)) if own.builtin else own)
    return result


_REFERENCES = {
    "configMap": ("ConfigMap", "name"),
    "configMapRef": ("ConfigMap", "name"),
    "configMapKeyRef": ("ConfigMap", "name"),
    "secret": ("Secret", "secretName"),
    "secretRef": ("Secret", "name"),
    "secretKeyRef": ("Secret", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
    "scaleTargetRef": ("Deployment", "name"),
}


def _referring(node: Node, names: Mapping[tuple[str, str], str]) -> Node:
    if isinstance(node.content, Mapping):
        fields = {name: _referring(value, names) for name, value in node.map.items()}
        for name, (kind, key) in _REFERENCES.items():
            target = fields.get(name)
            new = names.get((kind, target.map[key].text)) if target and key in target.map else None
            if target is not None and new is not None:
                fields[name] = put(target, (key,), replace(target.map[key], content=Scalar(new)))
        account = fields.get("serviceAccountName")
        if account is not None and ("ServiceAccount", account.text) in names:
            fields["serviceAccountName"] = replace(account, content=Scalar(names["ServiceAccount", account.text]))
        return replace(node, content=fields)
    if node.items:
        return replace(node, content=[_referring(one, names) for one in node.items])
    return node


def labelled(resources: Iterable[Resource], labels: Node, selectors: bool, templates: bool) -> list[Resource]:
    """Objects with more labels, on their selectors and pod templates too where asked for."""
    return [replace(one, node=_labelled(one, labels, selectors, templates)) for one in resources]


def _labelled(one: Resource, labels: Node, selectors: bool, templates: bool) -> Node:
    node = one.node
    for name, value in labels.map.items():
        node = put(node, ("metadata", "labels", name), value)
        if selectors and one.kind in SELECTING and one.kind != "Job":
            node = put(node, ("spec", "selector", "matchLabels", name), value)
        if selectors and one.kind == "Service":
            node = put(node, ("spec", "selector", name), value)
        for path in pod_templates(node) if (selectors or templates) and one.kind in SELECTING else ():
            node = put(node, (*path, "metadata", "labels", name), value)
    return node


def annotated(resources: Iterable[Resource], annotations: Node) -> list[Resource]:
    """Objects, and their pod templates, with more annotations."""
    result = []
    for one in resources:
        node = one.node
        for name, value in annotations.map.items():
            node = put(node, ("metadata", "annotations", name), value)
            for path in pod_templates(node) if one.kind in SELECTING else ():
                node = put(node, (*path, "metadata", "annotations", name), value)
        result.append(replace(one, node=node))
    return result


def scaled(resources: Iterable[Resource], entries: Iterable[Node]) -> list[Resource]:
    """Objects with the replicas that ``replicas`` of a kustomization gives."""
    counts = {entry.map["name"].text: entry.map["count"] for entry in entries if {"name", "count"} <= set(entry.map)}
    result = []
    for one in resources:
        count = next((counts[name] for name in (one.name, *one.names) if name in counts), None)
        fits = count is not None and one.kind in SCALED
        result.append(replace(one, node=put(one.node, ("spec", "replicas"), count)) if count and fits else one)
    return result


def with_images(resources: Iterable[Resource], entries: Iterable[Node]) -> list[Resource]:
    """Objects whose containers have the images that ``images`` of a kustomization gives."""
    given = list(entries)

    def change(container: Node) -> Node:
        image = container.map.get("image")
        for entry in given if image is not None else ():
            image = _image(image, entry) if image is not None else None
        return container if image is None else put(container, ("image",), image)

    changed = list(resources)
    for field in ("containers", "initContainers"):
        changed = [replace(one, node=everywhere(one.node, field, change)) for one in changed]
    return changed


def _image(image: Node, entry: Node) -> Node:
    name = entry.map["name"].text if "name" in entry.map else ""
    if not re.fullmatch(re.escape(name) + r"(:[\w.{}-]*)?(@sha256:[\w.{}-]*)?", image.text):
        return image
    rest = image.text[len(name) :]
    new = entry.map["newName"].text if "newName" in entry.map else name
    if "digest" in entry.map:
        rest = f"@{entry.map['digest'].text}"
    elif "newTag" in entry.map:
        rest = f":{entry.map['newTag'].text}"
    if "tagSuffix" in entry.map:
        rest += entry.map["tagSuffix"].text
    return Node(Scalar(new + rest), entry.span)
