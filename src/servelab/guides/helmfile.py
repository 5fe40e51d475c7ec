"""Read a helmfile: which charts a guide installs, in which versions, with which values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from servelab.guides.gotemplate import KEPT, MARK, Rendered, Template
from servelab.guides.parse import parse, parse_one
from servelab.guides.place import Place, joined, read_text
from servelab.guides.tree import Node, Scalar, Span, scalar_of

NAMES = ("helmfile.yaml.gotmpl", "helmfile.yaml")
DEFAULT = "default"


@dataclass(frozen=True)
class Release:
    """A chart and the values it is installed with, all layers merged."""

    name: str
    chart: str
    version: Node | None
    files: tuple[str, ...]
    """The values files, in their order."""
    values: Node


@dataclass
class Helmfile:
    """A helmfile for one environment."""

    environment: str
    environments: tuple[str, ...]
    releases: list[Release] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def release(self, chart: str) -> Release | None:
        """The release whose chart's name has this in it."""
        return next((one for one in self.releases if chart in one.chart), None)


def read_helmfile(place: Place, folder: str, environment: str = DEFAULT) -> Helmfile | None:
    """The helmfile of a guide's directory; None where there is none.

    Raises:
        GuideError: it is wrong, or a values file that it names is.
    """
    for name in NAMES:
        path = joined(folder, name)
        text = read_text(place, path)
        if text is not None:
            return _read(place, folder, place.shown(path), text, environment)
    return None


def _read(place: Place, folder: str, file: str, text: str, environment: str) -> Helmfile:
    rendered = Template(environment).render(text)
    documents = parse(rendered.text, file)
    environments = next((found for one in documents if (found := one.get("environments"))), None)
    names = tuple(environments.map) if environments else ()
    result = Helmfile(environment, names)
    result.warnings += _unresolved(file, rendered)
    values = Node({})
    for entry in _items(environments.get(environment) if environments else None, "values"):
        values = merged(values, _values(place, folder, entry, values, result))
    for document in documents:
        for one in _items(document, "releases"):
            filled = _filled(one, values, rendered)
            result.releases.append(_release(place, folder, filled, values, result))
    return result


def _release(place: Place, folder: str, node: Node, environment: Node, into: Helmfile) -> Release:
    values = Node({})
    files: list[str] = []
    for entry in _items(node, "values"):
        if entry.scalar is not None and KEPT not in entry.text:
            files.append(joined(folder, entry.text))
        values = merged(values, _values(place, folder, entry, environment, into))
    for entry in _items(node, "set"):
        name, value = entry.get("name"), entry.map.get("value")
        if name is not None and value is not None:
            values = assigned(values, name.text, value)
    name, chart = node.get("name"), node.get("chart")
    return Release(name.text if name else "", chart.text if chart else "", node.get("version"), tuple(files), values)


def _unresolved(file: str, rendered: Rendered) -> list[str]:
    return [f"{file}:{line}: {{{{ {what} }}}} cannot be resolved here; it is left out" for line, what in rendered.kept]


def _values(place: Place, folder: str, entry: Node, environment: Node, into: Helmfile) -> Node:
    """The values of an entry: a file's, or its own."""
    if entry.scalar is None:
        return entry
    where = f"{entry.span.file}:{entry.span.first}" if entry.span else ""
    if KEPT in entry.text:
        return Node({})
    path = joined(folder, entry.text)
    text = read_text(place, path)
    if text is None:
        into.warnings.append(f"{where}: the values file {entry.text} is not there; it is left out")
        return Node({})
    if not entry.text.endswith(".gotmpl"):
        return parse_one(text, place.shown(path))
    values, warnings = rendered_values(text, place.shown(path), into.environment, environment)
    into.warnings += warnings
    return values


def rendered_values(text: str, file: str, environment: str, given: Node) -> tuple[Node, list[str]]:
    """The values that a template makes in an environment with its ``given`` values, and what could not be resolved.

    Raises:
        GuideError: it makes no YAML.
    """
    rendered = Template(environment).render(text)
    return _filled(parse_one(rendered.text, file), given, rendered), _unresolved(file, rendered)


def _filled(node: Node, values: Node, rendered: Rendered) -> Node:
    """The tree with the environment's values where their marks are; what could not be resolved goes."""
    paths = rendered.values
    if isinstance(node.content, Scalar):
        if node.span is not None and (lines := rendered.made.get(node.span.first)):
            node = replace(node, also=tuple(Span(node.span.file, line, line) for line in lines))
        mark = MARK.fullmatch(node.text)
        if mark:
            return values.get(*paths[int(mark[1])].split(".")) or Node(scalar_of("null"), node.span)
        text = MARK.sub(lambda one: getattr(values.get(*paths[int(one[1])].split(".")), "text", ""), node.text)
        return node if text == node.text else replace(node, content=Scalar(text))
    if isinstance(node.content, Mapping):
        return replace(
            node,
            content={
                name: _filled(value, values, rendered)
                for name, value in node.map.items()
                if KEPT not in value.text or name in ("name", "namespace")
            },
        )
    return replace(node, content=[_filled(one, values, rendered) for one in node.items])


def merged(under: Node, over: Node) -> Node:
    """Values over others, as Helm merges them: mappings by field, all else replaced, null takes away."""
    if not isinstance(under.content, Mapping) or not isinstance(over.content, Mapping):
        return over
    fields = dict(under.map)
    for name, value in over.map.items():
        if value.null:
            fields.pop(name, None)
        else:
            fields[name] = merged(fields[name], value) if name in fields else value
    return replace(over, content=fields)


def assigned(values: Node, path: str, value: Node) -> Node:
    """The values with one set at a path as ``--set`` writes it: ``a.b[0].c``, with a dot in a name as ``\\.``."""
    parts = [part.replace("\0", ".") for part in re.split(r"\.|(?=\[)", path.replace("\\.", "\0")) if part]
    return _assigned(values, parts, value)


def _assigned(values: Node, parts: list[str], value: Node) -> Node:
    if not parts:
        return value
    part, rest = parts[0], parts[1:]
    if index := re.fullmatch(r"\[(\d{1,3})\]", part):
        items = list(values.items)
        items += [Node({}, value.span)] * (int(index[1]) + 1 - len(items))
        items[int(index[1])] = _assigned(items[int(index[1])], rest, value)
        return replace(values, content=items)
    return replace(
        values, content={**values.map, part: _assigned(values.map.get(part, Node({}, value.span)), rest, value)}
    )


def _items(node: Node | None, field: str) -> list[Node]:
    found = node.get(field) if node else None
    return list(found.items) if found else []
