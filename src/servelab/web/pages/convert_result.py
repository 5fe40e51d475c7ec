"""A converted guide: its files beside those of the guide, each line with where it is from."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from nicegui import ui

from servelab.guides.convert import Conversion, File
from servelab.guides.line import Line
from servelab.web.pages.frame import heading
from servelab.web.pages.parts import Text, element, notice, text

MOST_SHOWN = 3000  # lines of a file: more than any guide's, and what a browser lays out at once


def result(made: Conversion) -> None:
    """All of it."""
    for warning in made.warnings:
        notice(warning, "warn")
    others = [one for one in made.variants if one != made.variant]
    if others:
        text("p", f"This is the variant {made.variant or 'default'}; others: {', '.join(others)}", "muted")
    if made.treatments:
        text("p", f"The experiment has {made.treatments:,} treatments.", "muted")
    numbers = {name: index for index, name in enumerate(made.sources)}
    with element("div", "beside"):
        with element("section", "card stack").props('aria-label="What it became"'):
            _made(made, numbers)
        with element("section", "card stack").props('aria-label="The guide"'):
            heading("The guide", "h2")
            said = text(
                "p", "Point at a line, or move to it with the arrow keys: where it is from shows here.", "muted"
            )
            said.classes("guide-said").props('aria-live="polite"')
            with element("div", "code-lines").props('tabindex=0 role="region" aria-label="The files of the guide"'):
                for name, content in made.sources.items():
                    text("div", name, "file-name")
                    for number, line in enumerate(content.splitlines()[:MOST_SHOWN], 1):
                        _line(number, line).props[_AT] = f"{numbers[name]}:{number}"


_AT, _FROM = "data-at", "data-from"


def _made(made: Conversion, numbers: Mapping[str, int]) -> None:
    with ui.tabs().props("align=left dense no-caps outside-arrows mobile-arrows") as tabs:
        for file in made.files:
            ui.tab(file.path, f"{file.kind}, {file.form}")
    with ui.tab_panels(tabs, value=made.files[0].path).classes("panels"):
        for file in made.files:
            with ui.tab_panel(file.path), element("div", "stack"):
                _actions(file)
                with element("div", "code-lines").props('role="group"').props(f'aria-label="{file.kind}"'):
                    _lines(file, numbers)


def _actions(file: File) -> None:
    name = posixpath.basename(file.path)
    with element("div", "row"):
        text("code", file.path).classes("grow")
        ui.button("Copy", icon="content_copy", on_click=lambda: _copy(file)).props('outline no-caps padding="2px 12px"')
        ui.button("Download", icon="download", on_click=lambda: ui.download.content(file.text, name)).props(
            'outline no-caps padding="2px 12px"'
        )


def _copy(file: File) -> None:
    ui.clipboard.write(file.text)
    ui.notify(f"{file.path} is copied", type="positive")


def _lines(file: File, numbers: Mapping[str, int]) -> None:
    first = True
    for number, line in enumerate(file.lines[:MOST_SHOWN], 1):
        shown = _line(number, line.text).classes("made-line")
        if line.spans:
            shown.props[_FROM] = " ".join(f"{numbers[one.file]}:{one.first}:{one.last}" for one in line.spans)
            shown.props["title"] = _told(line)
            shown.props["tabindex"] = 0 if first else -1
            first = False


def _line(number: int, content: str) -> Text:
    found = text("div", content, "code-line")
    found.props["data-number"] = number
    return found


def _told(line: Line) -> str:
    def one(file: str, first: int, last: int) -> str:
        return f"{file}, {f'line {first}' if first == last else f'lines {first} to {last}'}"

    return "from " + "; ".join(one(span.file, span.first, span.last) for span in line.spans)
