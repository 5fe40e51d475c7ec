"""What a dialog says, as data: any face can show it, and it survives as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from servelab.request.said import Question
from servelab.spec.base import Spec

Tone = Literal["plain", "good", "note", "warning"]


class Text(Spec):
    """A sentence or a few."""

    kind: Literal["text"] = "text"
    text: str
    tone: Tone = "plain"


class Table(Spec):
    """Rows under named columns."""

    kind: Literal["table"] = "table"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Line(Spec):
    """One line of a box: what, its value, and where that comes from; without ``label`` a point of a list."""

    label: str = ""
    value: str
    note: str = ""
    tone: Tone = "plain"


class Section(Spec):
    """Lines of a box under a title."""

    title: str = ""
    lines: tuple[Line, ...]
    tone: Tone = "plain"


class Box(Spec):
    """Sections in a frame; ``final`` is the frame of what is about to be done."""

    kind: Literal["box"] = "box"
    title: str
    sections: tuple[Section, ...]
    final: bool = False


class Ask(Spec):
    """Questions that wait for an answer: one with numbered options, or several that one sentence may answer."""

    kind: Literal["ask"] = "ask"
    questions: tuple[Question, ...]


class YesNo(Spec):
    """A question for yes or no; ``default`` is what an empty answer means, if anything."""

    kind: Literal["yes_no"] = "yes_no"
    text: str
    default: bool | None = None
    hints: tuple[str, ...] = ()


Block = Annotated[Text | Table | Box | Ask | YesNo, Field(discriminator="kind")]


class Reply(Spec):
    """What is said in one turn, from top to bottom."""

    blocks: tuple[Block, ...]
