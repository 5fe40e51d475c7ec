"""Controls that are bound to a place in the draft, and show there what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from servelab.spec.errors import Fault
from servelab.web.draft import Draft, Path
from servelab.web.pages.parts import Text, element, text

Control = TypeVar("Control", bound=ValidationElement[Any])

SHAPE = "outlined dense hide-bottom-space"


class Fields:
    """The controls of one form; ``changed`` is called after each change of the draft."""

    def __init__(self, draft: Draft, changed: Callable[[], object]) -> None:
        self.draft = draft
        self._changed = changed
        self._controls: dict[Path, ValidationElement[Any]] = {}
        self._notes: dict[Path, Text] = {}

    def set(self, path: Path, value: Any) -> None:
        """Change the draft."""
        self.draft.set(path, value)
        self._changed()

    def touch(self) -> None:
        """Say that the draft was changed."""
        self._changed()

    def note(self, *path: str | int) -> None:
        """A line for what is wrong in this part and has no control of its own."""
        found = text("div", "", "notice bad")
        found.props('role="alert"')
        found.visible = False
        self._notes[path] = found

    def text(self, label: str, *path: str | int, hint: str = "", placeholder: str = "") -> ui.input:
        """A line of text; empty takes the value away."""
        control = ui.input(label, value=self.draft.get(*path) or "", placeholder=placeholder).props(SHAPE)
        control.props(f"{'stack-label' if placeholder else ''}")
        control.on_value_change(lambda event: self.set(path, (event.value or "").strip() or None))
        return self._bound(control, path, hint)

    def plain(self, label: str, *path: str | int, value: str, read: Callable[[str], Any]) -> ui.input:
        """A value of any kind, typed as text and kept as ``read`` makes of it."""
        control = ui.input(label, value=value).props(SHAPE)
        control.on_value_change(lambda event: self.set(path, read(event.value or "")))
        return self._bound(control, path)

    def number(self, label: str, *path: str | int, scale: float = 1, suffix: str = "", usual: object = "") -> ui.number:
        """A number, shown times ``scale``; empty takes the value away, and ``usual`` is what then holds."""
        value = self.draft.get(*path)
        shown = round(value * scale, 9) if isinstance(value, int | float) else None
        control = ui.number(label, value=shown, placeholder=str(usual), suffix=suffix or None, format="%.10g")
        control.props(f"{SHAPE} stack-label step=any").classes("amount")
        control.on_value_change(lambda event: self.set(path, _scaled(event.value, scale)))
        return self._bound(control, path)

    def choice(
        self, label: str, *path: str | int, options: Mapping[str, str], value: str, then: Callable[[str], object]
    ) -> ui.select:
        """One of several; ``then`` does what a change means."""
        control = ui.select(dict(options), label=label, value=value).props(f"{SHAPE} options-dense")
        control.on_value_change(lambda event: then(event.value))
        return self._bound(control, path)

    def values(self, label: str, *path: str | int, hint: str = "") -> ui.input:
        """Several plain values, with commas between."""
        control = ui.input(label, value=written(self.draft.get(*path, default=()))).props(SHAPE)
        control.on_value_change(lambda event: self.set(path, read_values(event.value or "")))
        return self._bound(control, path, hint)

    def switch(self, label: str, *path: str | int) -> ui.checkbox:
        """Yes or no; no takes the value away."""
        control = ui.checkbox(label, value=bool(self.draft.get(*path))).props("dense")
        control.on_value_change(lambda event: self.set(path, True if event.value else None))
        return control

    def _bound(self, control: Control, path: Path, hint: str = "") -> Control:
        if hint:
            control.props["hint"] = hint
        self._controls[path] = control
        return control

    def speaks_for(self, control: ValidationElement[Any], *path: str | int) -> None:
        """Let a control show what is wrong with all that it is the only one of."""
        self._controls[path] = control

    def show(self, faults: Iterable[Fault]) -> None:
        """Show each fault at its control, or at the part that it is in."""
        told: dict[Path, list[str]] = {}
        for fault in faults:
            place = next((p for p in _upwards(fault.path) if self._has(p)), None)
            if place is not None:
                told.setdefault(place, []).append(_short(fault, place))
        said: dict[ValidationElement[Any], list[str]] = {}
        for path, control in self._controls.items():
            if not control.is_deleted:
                said.setdefault(control, []).extend(told.get(path, ()))
        for control, messages in said.items():
            control.error = "; ".join(messages) or None
        for path, note in self._notes.items():
            if not note.is_deleted:
                own = [] if self._alive(path) else told.get(path, [])
                note.set_text("; ".join(own))
                note.visible = bool(own)

    def _alive(self, path: Path) -> bool:
        return path in self._controls and not self._controls[path].is_deleted

    def _has(self, path: Path) -> bool:
        return self._alive(path) or (path in self._notes and not self._notes[path].is_deleted)


def _upwards(path: Path) -> list[Path]:
    """The place and all that it is in, the innermost first."""
    return [path[:length] for length in range(len(path), 0, -1)]


def _short(fault: Fault, place: Path) -> str:
    """The message without the name of the place, which the control itself has."""
    name = ".".join(str(part) for part in fault.path)
    return fault.message.removeprefix(f"{name}: ") if fault.path == place else fault.message


def _scaled(value: float | None, scale: float) -> float | int | None:
    if value is None:
        return None
    found = float(f"{value / scale:.12g}")
    return int(found) if found == int(found) and scale == 1 else found


def written(values: Sequence[Any]) -> str:
    """Plain values with commas between, as ``read_values`` reads them."""
    return ", ".join(str(value).lower() if isinstance(value, bool) else f"{value}" for value in values)


def read_values(text: str) -> list[Any]:
    """Numbers, true and false, and words, with commas between."""
    return [read_value(word.strip()) for word in text.split(",") if word.strip()]


def read_value(word: str) -> Any:
    """A number, true, false, or the word itself."""
    if re.fullmatch(r"[+-]?\d{1,18}", word):
        return int(word)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", word):
        return float(word)
    return {"true": True, "false": False}.get(word.lower(), word)


def row() -> ui.element:
    """Controls beside one another."""
    return element("div", "fields")
