"""Resolve a kustomization: its resources, components, patches and transformations."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from servelab.guides.kustomize import transform
from servelab.guides.kustomize.generate import config_map, hashed_name
from servelab.guides.kustomize.jsonpatch import patched
from servelab.guides.kustomize.resource import Resource, Selector, put, selector
from servelab.guides.kustomize.strategic import KNOWN, merged
from servelab.guides.parse import GuideError, parse, text_line
from servelab.guides.place import Place, joined, read_document, read_documents
from servelab.guides.tree import Node

FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_REMOTE = re.compile(r"(gh|git|[\w.-]+@[\w.-]+):|(github|gitlab|bitbucket)\.(com|org)/|[\w.-]+\.\w+:")
MOST_NESTED = 20  # kustomizations below one another; a circle ends here
IGNORED = (
    "configurations", "crds", "generators", "helmChartInflationGenerator", "helmCharts", "openapi", "replacements",
    "secretGenerator",
    "transformers", "validators", "vars",
)  # fmt: skip
"""Fields that are not applied, and warned about."""


@dataclass
class Build:
    """One resolution: where files are read from, what was read, and what is odd."""

    place: Place
    warnings: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Kustomizations in the order in which they were read, the outermost first."""
    remote: bool = False
    """Whether something was left out because it lies elsewhere."""

    def objects(self, folder: str) -> list[Node]:
        """All objects of the kustomization in ``folder``, in kustomize's order, with generated names final.

        Raises:
            GuideError: a file is missing or wrong.
        """
        resources = self._kustomization(folder, [], 0)
        names = {(one.kind, one.name): hashed_name(one) for one in resources if one.generated}
        return [one.node for one in transform.renamed(resources, names)]

    def _kustomization(self, folder: str, given: list[Resource], depth: int) -> list[Resource]:
        if depth > MOST_NESTED:
            raise GuideError(f"{self.place.shown(folder)}: kustomizations refer to one another", "Mend the guide.")
        path = kustomization_file(self.place, folder)
        node = read_document(self.place, path) if path else None
        if path is None or node is None:
            raise GuideError(f"{self.place.shown(folder)}: there is no kustomization.yaml", "Give the whole guide.")
        self.files.append(self.place.shown(path))
        self._warn_of(node)
        resources = list(given)
        for name in ("resources", "bases"):
            for one in _items(node, name):
                resources += self._resource(folder, one, depth)
        options = node.get("generatorOptions")
        for entry in _items(node, "configMapGenerator"):
            resources = _generated(resources, config_map(entry, folder, self.place, options), entry)
        for one in _items(node, "components"):
            resources = self._kustomization(joined(folder, one.text), resources, depth + 1)
        return self._transformed(node, folder, resources)

    def _transformed(self, node: Node, folder: str, resources: list[Resource]) -> list[Resource]:
        for one in _items(node, "patchesStrategicMerge"):
            inline = "\n" in one.text
            patches = parse(one.text, *_where(one)) if inline else read_documents(self.place, joined(folder, one.text))
            resources = _patch_all(resources, patches, None, one)
        for one in _items(node, "patches"):
            resources = self._patch(resources, folder, one)
        if (namespace := node.get("namespace")) is not None:
            resources = transform.namespaced(resources, namespace)
        prefix, suffix = (found.text if (found := node.get(name)) else "" for name in ("namePrefix", "nameSuffix"))
        resources = transform.affixed(resources, prefix, suffix)
        if (labels := node.get("commonLabels")) is not None:
            resources = transform.labelled(resources, labels, selectors=True, templates=True)
        for entry in _items(node, "labels"):
            pairs = entry.get("pairs")
            flags = [
                bool(found and found.true) for found in (entry.get("includeSelectors"), entry.get("includeTemplates"))
            ]
            if pairs is not None:
                resources = transform.labelled(resources, pairs, *flags)
        if (annotations := node.get("commonAnnotations")) is not None:
            resources = transform.annotated(resources, annotations)
        for one in _items(node, "patchesJson6902"):
            resources = self._patch(resources, folder, one)
        resources = transform.scaled(resources, _items(node, "replicas"))
        return transform.with_images(resources, _items(node, "images"))

    def _resource(self, folder: str, one: Node, depth: int) -> list[Resource]:
        if _lies_elsewhere(one.text):
            self.remote = True
            self.warnings.append(f"{_place(one)}: {one.text} lies elsewhere and was not fetched")
            return []
        path = joined(folder, one.text)
        if kustomization_file(self.place, path) is not None:
            return self._kustomization(path, [], depth + 1)
        if not one.text.endswith((".yaml", ".yml", ".json")) or one.text.startswith(("/", "../")):
            raise GuideError(
                f"{_place(one)}: {one.text} is no kustomization, and no file in or below its directory",
                "Give the whole guide; kustomize too refuses files from elsewhere.",
            )
        found = []
        for document in read_documents(self.place, path):
            members = document.get("items") if document.get("kind") and document.map["kind"].text == "List" else None
            found += [Resource(member) for member in (members.items if members else [document])]
        return found

    def _patch(self, resources: list[Resource], folder: str, entry: Node) -> list[Resource]:
        target = entry.get("target")
        if (inline := entry.get("patch")) is not None:
            patches = parse(inline.text, *_where(inline))
        elif (path := entry.get("path")) is not None:
            patches = read_documents(self.place, joined(folder, path.text))
        else:
            raise GuideError(f"{_place(entry)}: this patch has neither `patch` nor `path`", "Mend the kustomization.")
        return _patch_all(resources, patches, selector(target) if target else None, entry)

    def _warn_of(self, node: Node) -> None:
        for name in IGNORED:
            if name in node.map and not node.map[name].null:
                self.warnings.append(f"{_place(node.map[name])}: `{name}` of a kustomization is not applied")
                self.remote = self.remote or any(_lies_elsewhere(one.text) for _, one in node.map[name].leaves())


def _lies_elsewhere(text: str) -> bool:
    """Whether kustomize would fetch it, which is not for a guide to decide."""
    return "://" in text or "?ref=" in text or _REMOTE.match(text) is not None


def kustomization_file(place: Place, folder: str) -> str | None:
    """The kustomization in a directory; None where it is no kustomization."""
    for name in FILES:
        path = joined(folder, name)
        if place.read(path) is not None:
            return path
    return None


def _patch_all(resources: list[Resource], patches: list[Node], target: Selector | None, entry: Node) -> list[Resource]:
    for patch in patches:
        operations = not patch.map
        if operations and target is None:
            raise GuideError(f"{_place(entry)}: a JSON patch needs a target", "Mend the kustomization.")
        chosen = target or _named(patch)
        hit = [one for one in resources if chosen.matches(one)]
        if not hit and target is None:
            raise GuideError(
                f"{_place(entry)}: no object {chosen.kind} {chosen.name} for this patch", "Mend the guide."
            )
        change: Callable[[Resource], Resource | None] = _operating(patch) if operations else _merging(patch, target)
        resources = [new for one in resources if (new := change(one) if one in hit else one) is not None]
    return resources


def _operating(patch: Node) -> Callable[[Resource], Resource | None]:
    return lambda one: replace(one, node=patched(one.node, patch))


def _merging(patch: Node, target: Selector | None) -> Callable[[Resource], Resource | None]:
    def change(one: Resource) -> Resource | None:
        node = merged(one.node, patch, one.kind in KNOWN)
        if node is None:
            return None
        for name in ("apiVersion", "kind"):
            if (own := one.node.get(name)) is not None:
                node = put(node, (name,), own)
        kept = replace(one, node=node)
        return kept if kept.name == one.name else kept.renamed(one.name)  # a patch for many names none, and no kind

    return change


def _named(patch: Node) -> Selector:
    """What a patch without a target is for: the object of its own kind and name."""
    name = patch.get("metadata", "name")
    kind = patch.get("kind")
    return Selector(kind=re.escape(kind.text) if kind else "", name=re.escape(name.text) if name else "")


def _generated(resources: list[Resource], made: Resource, entry: Node) -> list[Resource]:
    """The objects with a generated one added to them, or merged into the one of its name."""
    behavior = entry.get("behavior")
    if behavior is None or behavior.text == "create":
        return [*resources, made]
    result = []
    for one in resources:
        if one.kind == made.kind and made.name in (one.name, *one.names):
            base = one.node.get("data") if behavior.text == "merge" else None
            data = made.node.map["data"]
            both = {**(base.map if base else {}), **data.map}
            node = replace(
                one.node, content={**one.node.map, "data": replace(data, content=dict(sorted(both.items())))}
            )
            result.append(replace(one, node=node))
        else:
            result.append(one)
    return result


def _items(node: Node, field: str) -> list[Node]:
    found = node.get(field)
    return list(found.items) if found else []


def _where(node: Node) -> tuple[str, int]:
    return (node.span.file if node.span else "", text_line(node))


def _place(node: Node) -> str:
    return f"{node.span.file}:{node.span.first}" if node.span else "a kustomization"
