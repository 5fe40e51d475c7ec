"""Read YAML text into trees; whatever the text is, the answer is a tree or one line that says where it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import yaml

from servelab.guides.tree import MERGE, STR, Node, Scalar, Span, resolved
from servelab.spec.errors import ServelabError

MOST_BYTES = 1 << 20
MOST_DEPTH = 64
MOST_VALUES = 20_000  # in one file; more than any guide, and converted within a second
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class GuideError(ServelabError):
    """A guide that cannot be converted; the message names the file and the line, and is one line itself."""

    exit_code = 2

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(" ".join(message.splitlines()), remedy)


def decoded(data: bytes, file: str) -> str:
    """The text of a file.

    Raises:
        GuideError: it is too large, or no UTF-8.
    """
    if len(data) > MOST_BYTES:
        line = data.count(b"\n", 0, MOST_BYTES) + 1
        raise GuideError(f"{file}:{line}: larger than {MOST_BYTES:,} bytes", "Give the guide's own files.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise GuideError(f"{file}:{line}: this is no UTF-8", "Save the file as UTF-8.") from None


def parse(text: str, file: str, first: int = 1) -> list[Node]:
    """All documents of a YAML text that begins in line ``first`` of ``file``.

    Raises:
        GuideError: it is no YAML, or larger or deeper than any guide.
    """
    try:
        return list(_Builder(file, first).documents(yaml.parse(text, Loader=_LOADER)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        raise GuideError(
            f"{file}:{first + line}: {error.problem or 'this is no YAML'}{_section(text, line)}", "Mend the YAML."
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) if isinstance(error.position, int) else 0
        raise GuideError(f"{file}:{first + line}: a character that YAML does not allow", "Mend the YAML.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise GuideError(f"{file}:{first}: {str(error).splitlines()[0]}", "Mend the YAML.") from None


def parse_one(text: str, file: str, first: int = 1) -> Node:
    """The first document of a YAML text; an empty mapping where there is none.

    Raises:
        GuideError: it is no YAML.
    """
    documents = parse(text, file, first)
    return documents[0] if documents else Node({}, Span(file, first, first))


def inside(node: Node) -> Node:
    """What a scalar that holds YAML says, on the lines of its own file.

    Raises:
        GuideError: it is no YAML.
    """
    return parse_one(node.text, node.span.file if node.span else "", text_line(node))


def text_line(node: Node) -> int:
    """The line in which a scalar's text begins: of a literal block, the one after its header."""
    if node.span is None or node.scalar is None:
        return 1
    return node.span.first + (1 if node.scalar.style == "|" else 0)


@dataclass
class _Open:
    """A collection that is being read."""

    mapping: bool
    line: int
    anchor: str | None
    key: Node | None = None
    weight: int = 1
    """Values in it, those of an alias as often as it is named."""
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)


class _Builder:
    """Builds trees from events, without recursion: a file can nest deeper than Python's stack."""

    def __init__(self, file: str, first: int) -> None:
        self._file = file
        self._first = first
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._done: Node | None = None

    def documents(self, events: Iterator[yaml.Event]) -> Iterator[Node]:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._done = {}, None
            elif isinstance(event, yaml.DocumentEndEvent):
                if self._done is not None and not self._done.null:
                    yield self._done
            else:
                self._take(event)

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._add(Node(_scalar(event), self._span(event)), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            node, weight = self._alias(event)
            self._add(node, None, weight)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self._open) >= MOST_DEPTH:
                raise self._error(event, f"values are nested deeper than {MOST_DEPTH} levels")
            mapping = isinstance(event, yaml.MappingStartEvent)
            self._open.append(_Open(mapping, _line(event), event.anchor))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            closed = self._open.pop()
            node = Node(_fields(closed.pairs) if closed.mapping else closed.items)
            inner = [one.span.last for one in (*node.map.values(), *node.items) if one.span]
            # A block ends where the next one begins, so its last line is that of its last part.
            last = max(inner) if inner else self._last(event)
            node = replace(node, span=Span(self._file, self._first + closed.line, last))
            key = self._open[-1].key if self._open else None
            if key is not None and key.span is not None:
                node = replace(node, span=Span(self._file, key.span.first, last))
            self._add(node, closed.anchor, closed.weight)

    def _add(self, node: Node, anchor: str | None, weight: int = 1) -> None:
        if anchor:
            self._anchors[anchor] = node, weight
        if not self._open:
            self._done = node
            return
        parent = self._open[-1]
        parent.weight += weight
        if parent.weight > MOST_VALUES:
            where = f"{self._file}:{node.span.last if node.span else self._first}"
            raise GuideError(f"{where}: more than {MOST_VALUES:,} values", "Give the guide's own files.")
        if not parent.mapping:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            parent.pairs.append((parent.key, node))
            parent.key = None

    def _alias(self, event: yaml.AliasEvent) -> tuple[Node, int]:
        found = self._anchors.get(event.anchor or "")
        if found is None:
            raise self._error(event, f"the alias *{event.anchor} has no anchor")
        return found

    def _span(self, event: yaml.ScalarEvent) -> Span:
        return Span(self._file, self._first + _line(event), self._last(event))

    def _last(self, event: yaml.Event) -> int:
        """The last line of something that ends before ``end_mark``."""
        end = event.end_mark
        assert end is not None
        return self._first + (end.line if end.column or end.line == _line(event) else end.line - 1)

    def _error(self, event: yaml.Event, what: str) -> GuideError:
        return GuideError(f"{self._file}:{self._first + _line(event)}: {what}", "Mend the YAML.")


def _line(event: yaml.Event) -> int:
    """The line in which something begins, counted from 0."""
    assert event.start_mark is not None
    return event.start_mark.line


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    plain, _ = event.implicit
    if event.tag and event.tag != "!":
        tag = event.tag if event.tag.startswith("tag:yaml.org,2002:") else STR
    else:
        tag = resolved(event.value) if plain else STR
    return Scalar(event.value, tag, event.style or None)


def _fields(pairs: list[tuple[Node, Node]]) -> dict[str, Node]:
    """A mapping's fields; those that a merge key (<<) brings are weaker than its own.

    Raises:
        GuideError: one is there twice, or has no name.
    """
    merged: dict[str, Node] = {}
    own: dict[str, Node] = {}
    first: dict[str, int] = {}
    for key, value in pairs:
        if key.scalar is not None and key.scalar.tag == MERGE:
            for source in reversed(value.items or (value,)):
                merged |= source.map
        elif key.scalar is None:
            raise _told(key, "a name is a mapping or a list")
        elif key.text in own:
            raise _told(key, f"{key.text!r} is there twice, first in line {first[key.text]}")
        else:
            own[key.text], first[key.text] = value, key.span.first if key.span else 0
    return {**merged, **own}


def _told(node: Node, what: str) -> GuideError:
    return GuideError(f"{node.span.file}:{node.span.first}: {what}" if node.span else what, "Mend the YAML.")


def _section(text: str, line: int) -> str:
    """The line that is wrong, and those before it."""
    lines = text.splitlines()[max(0, line - 2) : line + 1]
    shown = " | ".join(one.strip()[:60] for one in lines if one.strip())
    return f" (near: {shown})" if shown else ""
