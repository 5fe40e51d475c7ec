"""YAML as a tree in which every value knows the file and the lines that it was written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

STR, NULL, MAP, SEQ = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "map", "seq"))
MERGE = "tag:yaml.org,2002:merge"
_BREAKS = "\x85\u2028\u2029"  # which end lines in YAML 1.1 but not in 1.2: escaped, they mean the same in both
_RESOLVER = yaml.resolver.Resolver()


@dataclass(frozen=True, order=True)
class Span:
    """Lines ``first`` to ``last`` of a file, counted from 1."""

    file: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.file}#L{self.first}-L{self.last}"


@dataclass(frozen=True)
class Scalar:
    """A scalar as it was written: ``text`` without its quotes, ``tag`` as YAML resolves it, ``style`` of its quotes."""

    text: str
    tag: str = STR
    style: str | None = None

    @property
    def value(self) -> bool | int | float | str | None:
        """What YAML takes it for; a date stays text."""
        kind = self.tag.rpartition(":")[2]
        if kind not in ("bool", "int", "float", "null"):
            return self.text
        try:
            node = yaml.ScalarNode(self.tag, self.text)
            made: bool | int | float | None = yaml.constructor.SafeConstructor().construct_object(node, deep=True)
        except (ValueError, IndexError, yaml.YAMLError):
            return self.text
        return made


Content = Scalar | Mapping[str, "Node"] | Sequence["Node"]


@dataclass(frozen=True)
class Node:
    """A value and where it was written; ``span`` is None for what no file holds."""

    content: Content
    span: Span | None = None
    also: tuple[Span, ...] = ()
    """Other lines that it is made from: of a template's variables."""

    @property
    def scalar(self) -> Scalar | None:
        """The scalar that it is, or None."""
        return self.content if isinstance(self.content, Scalar) else None

    @property
    def text(self) -> str:
        """A scalar's text as it was written; empty for anything else."""
        return self.content.text if isinstance(self.content, Scalar) else ""

    @property
    def map(self) -> Mapping[str, Node]:
        """Its fields; none unless it is a mapping."""
        return self.content if isinstance(self.content, Mapping) else {}

    @property
    def items(self) -> Sequence[Node]:
        """Its elements; none unless it is a sequence."""
        return self.content if isinstance(self.content, Sequence) else ()

    @property
    def null(self) -> bool:
        """Whether it says nothing."""
        return isinstance(self.content, Scalar) and self.content.tag == NULL

    @property
    def true(self) -> bool:
        """Whether it is a yes."""
        return isinstance(self.content, Scalar) and str(self.content.value).lower() in ("true", "yes", "on")

    def get(self, *path: str | int) -> Node | None:
        """What is at a path of fields and indexes; None where there is nothing, or null."""
        found: Node | None = self
        for part in path:
            if found is None:
                return None
            if isinstance(part, str):
                found = found.map.get(part)
            else:
                found = found.items[part] if -len(found.items) <= part < len(found.items) else None
        return None if found is None or found.null else found

    def plain(self) -> Any:
        """Plain data, as a safe loader gives it."""
        if isinstance(self.content, Scalar):
            return self.content.value
        if isinstance(self.content, Mapping):
            return {name: value.plain() for name, value in self.content.items()}
        return [value.plain() for value in self.content]

    def leaves(self, path: str = "") -> Iterator[tuple[str, Node]]:
        """Every scalar, and every empty mapping or sequence, with its path as ``a.b[0].c``."""
        if isinstance(self.content, Mapping) and self.content:
            for name, value in self.content.items():
                yield from value.leaves(f"{path}.{name}" if path else name)
        elif isinstance(self.content, Sequence) and self.content:
            for index, value in enumerate(self.content):
                yield from value.leaves(f"{path}[{index}]")
        else:
            yield path, self

    def spans(self) -> tuple[Span, ...]:
        """Where all of it was written, neighbouring lines together."""
        return together(list(self._spans()))

    def _spans(self) -> Iterator[Span]:
        """Its own lines where they hold all that is in it, and else those of its parts."""
        yield from self.also
        parts = [*self.map.values(), *self.items]
        inner = [span for part in parts for span in part._spans()]
        own = self.span
        if own is not None and all(s.file == own.file and own.first <= s.first and s.last <= own.last for s in inner):
            yield own
        else:
            if own is not None:
                yield Span(own.file, own.first, own.first)  # its name
            yield from inner


def made(value: Any, span: Span | None = None) -> Node:
    """A tree of plain data that no file holds, or that stands as a whole at ``span``."""
    if isinstance(value, Mapping):
        return Node({str(name): made(one, span) for name, one in value.items()}, span)
    if isinstance(value, list | tuple):
        return Node([made(one, span) for one in value], span)
    if isinstance(value, str):
        return Node(Scalar(value), span)
    text = (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
    )
    return Node(scalar_of(text), span)


def scalar_of(text: str) -> Scalar:
    """A scalar without quotes."""
    return Scalar(text, resolved(text))


def resolved(text: str) -> str:
    """The tag of a scalar without quotes."""
    return str(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]


def together(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans in the order of their files' first occurrence, with those that touch made one."""
    by_file: dict[str, list[Span]] = {}
    for span in spans:
        by_file.setdefault(span.file, []).append(span)
    joined: list[Span] = []
    for found in by_file.values():
        current = min(found)
        for span in sorted(found)[1:]:
            if span.first <= current.last + 1:
                current = replace(current, last=max(current.last, span.last))
            else:
                joined.append(current)
                current = span
        joined.append(current)
    return tuple(joined)


def dump(node: Node) -> str:
    """YAML with every scalar's text and quotes as they were written."""
    text: str = yaml.serialize(_yaml(node), Dumper=_Dumper, width=1 << 20, allow_unicode=True)
    return text.removesuffix("...\n") if text.endswith("\n...\n") else text  # the end of a document, which it is not


class _Dumper(yaml.SafeDumper):
    """Indents sequences below their key, and writes no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def anchor_node(self, node: yaml.Node) -> None:
        self.anchors[node] = None
        children = [one for pair in node.value for one in pair] if isinstance(node, yaml.MappingNode) else node.value
        if not isinstance(node, yaml.ScalarNode):
            for child in children:
                self.anchor_node(child)


def _yaml(node: Node) -> yaml.Node:
    if isinstance(node.content, Scalar):
        style = node.content.style
        if node.content.tag == STR and style is None and "\n" in node.content.text:
            style = "|"
        if any(sign in node.content.text for sign in _BREAKS):
            style = '"'
        return yaml.ScalarNode(node.content.tag, node.content.text, style=style)
    if isinstance(node.content, Mapping):
        pairs = [(yaml.ScalarNode(STR, name), _yaml(value)) for name, value in node.content.items()]
        return yaml.MappingNode(MAP, pairs, flow_style=not pairs)
    elements = [_yaml(value) for value in node.content]
    return yaml.SequenceNode(SEQ, elements, flow_style=not elements)
