"""One thing that a guide sets, as a field of a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from servelab.catalog.guides import scenarios
from servelab.guides.config import Role
from servelab.guides.tree import Node, Span


@dataclass(frozen=True)
class Setting:
    """A field of a scenario with its value, where that was written, and what a reader should know."""

    field: str
    value: Node
    spans: tuple[Span, ...] = ()
    role: Role | None = None
    note: str = ""
    """Why, where ``spans`` alone do not say it."""
    always: bool = False
    """Whether it is written even where it is the default."""

    @property
    def text(self) -> str:
        """The value of a scalar, as the guide writes it."""
        return self.value.text

    @property
    def variable(self) -> str:
        """The variable that takes it, without its prefix; see catalog/data/guides.yaml."""
        return scenarios().fields[self.field].variable.replace("STAGE", (self.role or "").upper())

    @property
    def path(self) -> str:
        """Its place in a declarative scenario; empty where it has none."""
        path = scenarios().fields[self.field].path
        return ".".join((self.role or "") if part == "stage" else part for part in path.split("."))


def plain(field: str, node: Node | None, role: Role | None = None, note: str = "") -> Iterator[Setting]:
    """The setting of a value that may be there."""
    if node is not None:
        yield Setting(field, node, spans_of(node), role, note)


def spans_of(node: Node | None) -> tuple[Span, ...]:
    """Where a value is written; nowhere for none."""
    return node.spans() if node is not None else ()
