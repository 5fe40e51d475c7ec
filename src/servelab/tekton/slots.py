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


@dataclass(frozen=True, eq=False)
class Known:
    """A value that the first pass knew."""

    content: Any

    def value(self, scope: Scope) -> Any:
        """The value."""
        del scope
        return self.content


class Slots:
    """The slots of one rendered text."""

    def __init__(self) -> None:
        self._slots: list[Slot] = []

    def put(self, slot: Slot) -> str:
        """Keep ``slot``; the token that stands for it in the text."""
        self._slots.append(slot)
        return f"{OPEN}{len(self._slots) - 1}{CLOSE}"

    def scalar(self, text: str, plain: bool) -> Any:
        """What a scalar with this text is: the text, a Slot, or Pieces."""
        if OPEN not in text:
            return text
        whole = TOKEN.fullmatch(text)
        if whole and plain:
            return Whole(self._slots[int(whole[1])])
        pieces: list[str | Slot] = []
        for index, part in enumerate(TOKEN.split(text)):
            pieces.append(self._slots[int(part)] if index % 2 else part)
        return Pieces(tuple(piece for piece in pieces if piece != ""))


@dataclass(frozen=True, eq=False)
class Whole:
    """A scalar that is one slot."""

    slot: Slot

    def value(self, scope: Scope) -> Any:
        """The slot's value, with its type."""
        found = self.slot.value(scope)
        return json.loads(found) if isinstance(found, JsonText) else found


@dataclass(frozen=True, eq=False)
class Pieces:
    """A scalar of text and slots."""

    parts: tuple[str | Slot, ...]

    def value(self, scope: Scope) -> str:
        """The whole text."""
        return "".join(part if isinstance(part, str) else text_of(part.value(scope)) for part in self.parts)


def text_of(value: Any) -> str:
    """A value inside other text: as Jinja writes it, but null and collections as JSON."""
    if value is None or isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
