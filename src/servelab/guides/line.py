"""Lines of a written file, each with the lines of the guide that it is from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from servelab.guides.heredoc import comment, lines_of
from servelab.guides.parse import GuideError, parse_one
from servelab.guides.tree import Node, Scalar, Span, dump

NOWHERE = Span("", 0, 0)
"""Of what is known not to be the guide's."""


@dataclass(frozen=True)
class Line:
    """A line without its end; no ``spans`` where the guide does not say it."""

    text: str
    spans: tuple[Span, ...] = ()

    def indented(self, indent: str) -> Line:
        """The line further to the right; an empty one stays empty."""
        return replace(self, text=indent + self.text) if self.text else self

    def otherwise(self, spans: Sequence[Span]) -> Line:
        """The line, which is from ``spans`` where nothing finer is known."""
        return self if self.spans else replace(self, spans=tuple(spans))


def lines(texts: Iterable[str], spans: Sequence[Span] = ()) -> list[Line]:
    """Lines that are all from the same place."""
    return [Line(text, tuple(spans)) for text in texts]


def sources(said: Iterable[Span | str]) -> list[Line]:
    """Comments: where something is from, and what else is to be said of it."""
    made = []
    for one in said:
        if isinstance(one, Span):
            made += lines(comment(f"SOURCE: {one}"), (one,))
        else:
            made += lines(comment(one))
    return made


def without_end(made: Sequence[Line]) -> tuple[Line, ...]:
    """Lines without empty ones at the end."""
    count = len(made)
    while count and not made[count - 1].text.strip():
        count -= 1
    return tuple(made[:count])


def dumped(node: Node) -> list[Line]:
    """A tree as YAML, each line with the lines of the guide that its own value is from."""
    text = dump(node)
    made = lines(lines_of(text))
    try:
        _mark(parse_one(text, ""), node, made)
    except GuideError:  # larger than what may be read: the whole is known, its parts are not
        return made
    return made


def _mark(written: Node, source: Node, made: list[Line]) -> None:
    """Note on each line of what was written where it is from, the outer values first."""
    if written.span is not None and (spans := source.spans()):
        own = _line_by_line(written, source)
        for offset, number in enumerate(range(written.span.first - 1, min(written.span.last, len(made)))):
            made[number] = replace(made[number], spans=own[offset : offset + 1] or spans)
    for name, value in written.map.items():
        if name in source.map:
            _mark(value, source.map[name], made)
    for value, item in zip(written.items, source.items, strict=False):
        if item.spans() or value.span is None:
            _mark(value, item, made)
            continue
        for number in range(value.span.first - 1, min(value.span.last, len(made))):  # an element of ours
            made[number] = replace(made[number], spans=(NOWHERE,))


def _line_by_line(written: Node, source: Node) -> tuple[Span, ...]:
    """The lines of a text that stands in the guide as it is written; none where it does not."""
    span, here = source.span, written.span
    same = isinstance(source.content, Scalar) and source.content.style == "|" and not source.also
    # Empty lines below it belong to it in the guide, and are not written.
    if not same or span is None or here is None or span.last - span.first < here.last - here.first:
        return ()
    return tuple(Span(span.file, line, line) for line in range(span.first, span.last + 1))
