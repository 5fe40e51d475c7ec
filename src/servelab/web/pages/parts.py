"""Small pieces that pages are made of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

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


def when(seconds: float | None) -> Text:
    """A time: told in the browser's zone, with UTC on hover."""
    if seconds is None:
        return text("span", "-", "muted")
    iso = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    found = text("time", iso.replace("T", " ").replace("+00:00", " UTC"))
    found.props(f'datetime="{iso}"')
    return found


def age(since: float) -> str:
    """How long ago, in one unit."""
    seconds = max(0.0, time.time() - since)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def facts(rows: Sequence[tuple[str, str]]) -> ui.element:
    """Names and values, in two columns."""
    found = element("dl", "facts")
    with found:
        for name, value in rows:
            text("dt", name)
            text("dd", value)
    return found


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> ui.element:
    """A small table of text; the columns of these indices hold numbers."""
    found = element("div", "scroll").props("tabindex=0")
    with found, element("table", "plain"):
        with element("thead"), element("tr"):
            for index, name in enumerate(columns):
                text("th", name, "number" if index in numbers else "").props("scope=col")
        with element("tbody"):
            for row in rows:
                with element("tr"):
                    for index, cell in enumerate(row):
                        text("td", cell, "number" if index in numbers else "")
    return found


def notice(content: str, tone: Tone = "note") -> Text:
    """A sentence that stands out."""
    found = text("div", content, f"notice {tone}")
    found.props('role="status"')
    return found


def empty(title: str, hint: str) -> ui.element:
    """What is shown where nothing is yet: what would be here, and how it comes."""
    found = element("div", "empty")
    with found:
        text("h2", title)
        text("p", hint)
    return found
