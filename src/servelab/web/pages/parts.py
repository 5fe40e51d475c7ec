"""Small pieces that pages are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from servelab.spec.study import Study

Tone = Literal["", "good", "bad", "warn", "note"]

STATES: dict[str, Tone] = {
    "waiting": "",
    "running": "note",
    "verifying": "note",
    "paused": "warn",
    "cancelled": "warn",
    "stopped": "warn",
    "complete": "good",
    "failed": "bad",
}
"""The tone of each state of studies and trials."""


def element(tag: str, classes: str = "") -> ui.element:
    """A plain element."""
    return ui.element(tag).classes(classes)


class Text(TextElement):
    """An element with nothing but text in it; ``set_text`` changes it in place."""

    def __init__(self, tag: str, text: str, classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)


def text(tag: str, content: str, classes: str = "") -> Text:
    """A plain element with nothing but text in it."""
    return Text(tag, content, classes)


def state(name: str) -> Text:
    """A state, with its tone."""
    return text("span", name, f"state {STATES.get(name, '')}")


def simulated_sign(study: Study) -> None:
    """That nothing real was measured, where that is so."""
    if study.simulated:
        text("span", "simulated engine: no real measurement", "state warn")


def iso(seconds: float) -> str:
    """A time, seconds since the epoch, as programs read it; in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def when(seconds: float | None) -> Text:
    """A time: told in the browser's zone, with UTC on hover."""
    if seconds is None:
        return text("span", "-", "muted")
    found = text("time", iso(seconds).replace("T", " ").replace("Z", " UTC"))
    found.props(f'datetime="{iso(seconds)}"')
    return found


def facts(rows: Sequence[tuple[str, str]]) -> ui.element:
    """Names and values, in two columns."""
    found = element("dl", "facts")
    with found:
        for name, value in rows:
            text("dt", name)
            text("dd", value)
    return found


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text in a tone, and what is said below it in small; ``hint`` is shown on hover."""

    text: str
    tone: str = ""
    note: str = ""
    link: str = ""
    note_tone: str = "muted"
    hint: str = ""


def table(
    columns: Sequence[str | Cell], rows: Sequence[Sequence[str | Cell]], numbers: Sequence[int] = (), caption: str = ""
) -> ui.element:
    """A small table of text; the columns of these indices hold numbers. ``caption`` is for those who cannot see it."""
    found = element("div", "scroll").props("tabindex=0 role=region")
    found.props["aria-label"] = caption or "Table"
    with found, element("table", "plain"):
        with element("thead"), element("tr"):
            for index, name in enumerate(columns):
                _cell(name, "number" if index in numbers else "", "th").props("scope=col")
        with element("tbody"):
            for row in rows:
                with element("tr"):
                    for index, cell in enumerate(row):
                        _cell(cell, "number" if index in numbers else "")
    return found


def _cell(cell: str | Cell, classes: str, tag: str = "td") -> ui.element:
    if isinstance(cell, str):
        return text(tag, cell, classes)
    found = element(tag, classes)
    if cell.hint:
        found.props["title"] = cell.hint
    with found:
        if cell.link:
            ui.link(cell.text, cell.link)
        else:
            text("span", cell.text, cell.tone)
        if cell.note:
            text("div", cell.note, f"small {cell.note_tone}")
    return found


def copy_button(target: ui.element, name: str) -> ui.button:
    """A button that copies the text of an element, over plain HTTP too; ``name`` says what is copied."""
    found = ui.button("Copy", icon="content_copy").props(f'flat no-caps dense data-copy="c{target.id}"')
    found.props["aria-label"] = f"Copy {name}"
    return found


def notice(content: str, tone: Tone = "note") -> Text:
    """A sentence that stands out."""
    found = text("div", content, f"notice {tone}")
    found.props('role="status"')
    return found


def lines(content: Sequence[str]) -> ui.element:
    """A list of sentences."""
    found = element("ul", "sentences")
    with found:
        for line in content:
            text("li", line)
    return found


def empty(title: str, hint: str) -> ui.element:
    """What is shown where nothing is yet: what would be here, and how it comes."""
    found = element("div", "empty")
    with found:
        text("h2", title)
        text("p", hint)
    return found
