"""A number that can be typed, or dragged on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Callable

from nicegui import ui

from servelab.web.pages.parts import element

STEPS = 400


class Dial:
    """A field and a slider for one number above 0; both change it, and ``changed`` is called then."""

    def __init__(
        self, label: str, low: float, high: float, value: float, changed: Callable[[], None], whole: bool = False
    ) -> None:
        self._low, self._high, self._whole, self._changed = low, high, whole, changed
        self._value = value
        with element("div", "dial"):
            self._number = ui.number(label, value=value, min=0, precision=0 if whole else None)
            self._number.props("outlined dense").on_value_change(self._typed)
            self._slider = ui.slider(min=0, max=STEPS, step=1, value=self._position(value))
            self._slider.props["aria-label"] = f"{label}, slider"
            self._slider.on_value_change(self._dragged)

    @property
    def value(self) -> float:
        """The number."""
        return self._value

    def _position(self, value: float) -> int:
        share = math.log(min(max(value, self._low), self._high) / self._low) / math.log(self._high / self._low)
        return round(STEPS * share)

    def _typed(self) -> None:
        given = self._number.value
        if given is None or not 0 < float(given) < math.inf or float(given) == self._value:
            return
        self._value = float(given)
        self._slider.value = self._position(self._value)
        self._changed()

    def _dragged(self) -> None:
        position = round(self._slider.value)
        if position == self._position(self._value):
            return
        value = self._low * (self._high / self._low) ** (position / STEPS)
        self._value = max(1.0, round(value)) if self._whole else float(f"{value:.3g}")
        self._number.value = self._value
        self._changed()
