"""Places in rendered text whose value is put in after the text was read as YAML.

A value that is written into YAML text can change the text's meaning: a colon, a hash, a line break. So the text
carries a token in the value's place. Where a token is a whole plain scalar it becomes the value itself, with its
type; inside quotes or other text it becomes the value as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from servelab.tekton.plain import typed

OPEN, CLOSE = "\ue000", "\ue001"
TOKEN = re.compile(f"{OPEN}([0-9]+){CLOSE}")

Scope = Mapping[str, Any]


class JsonText(str):
    """What ``tojson`` made: the value itself in place of a whole scalar, its text elsewhere."""

    __slots__ = ()


class Slot(Protocol):
    """Something that has a value once the variables in scope are known."""

    def value(self, scope: Scope) -> Any:
        """The value; JsonText for what ``tojson`` made.

        Raises:
            TemplateFault: there is none.
        """
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """A value that is known when the text is rendered."""

    content: Any

    def value(self, scope: Scope) -> Any:
        """The value."""
        del scope
        return self.content


@dataclass(frozen=True, eq=False, slots=True)
class Word(Known):
    """A short text or a number, which YAML reads bare as ``content``."""


class Slots:
    """The slots of one rendered text, and about how many characters their values have."""

    def __init__(self) -> None:
        self.places: list[Slot] = []
        self.weights: list[int] = []

    def put(self, slot: Slot, weight: int = 0) -> str:
        """Keep ``slot``; the token that stands for it in the text."""
        self.places.append(slot)
        self.weights.append(weight)
        return f"{OPEN}{len(self.places) - 1}{CLOSE}"


@dataclass(frozen=True, eq=False, slots=True)
class Whole:
    """A plain scalar that is one slot, by its number."""

    slot: int

    def value(self, slots: Slots, scope: Scope) -> Any:
        """The slot's value, with its type."""
        found = slots.places[self.slot].value(scope)
        return json.loads(found) if isinstance(found, JsonText) else found

    def weight(self, slots: Slots) -> int:
        """About how many characters it has."""
        return slots.weights[self.slot]


@dataclass(frozen=True, eq=False, slots=True)
class Pieces:
    """A scalar of text and numbers of slots; ``plain`` when it stands without quotes."""

    parts: tuple[str | int, ...]
    plain: bool

    def value(self, slots: Slots, scope: Scope) -> Any:
        """The whole text; what is plain and of words only is read as YAML reads it."""
        found = [part if isinstance(part, str) else slots.places[part] for part in self.parts]
        text = "".join(part if isinstance(part, str) else text_of(part.value(scope)) for part in found)
        return typed(text) if self.plain and all(isinstance(part, str | Word) for part in found) else text

    def weight(self, slots: Slots) -> int:
        """About how many characters it has."""
        return sum(len(part) if isinstance(part, str) else slots.weights[part] for part in self.parts)


def scalar(text: str, plain: bool) -> str | Whole | Pieces:
    """What a scalar with this text is."""
    if OPEN not in text:
        return text
    whole = TOKEN.fullmatch(text)
    if whole and plain:
        return Whole(int(whole[1]))
    parts = [int(part) if index % 2 else part for index, part in enumerate(TOKEN.split(text))]
    return Pieces(tuple(part for part in parts if part != ""), plain)


def text_of(value: Any) -> str:
    """A value inside other text: as Jinja writes it, but null and collections as JSON."""
    if value is None or isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
