"""What it may cost."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from nicegui import ui

from servelab.spec.budget import Budget
from servelab.web.pages.frame import heading
from servelab.web.pages.new.fields import Fields, row
from servelab.web.pages.parts import element, text

EXTENTS: dict[str, tuple[dict[str, Any], str]] = {
    "Quick look": ({"trials": 3, "verification": {"top": 1, "rounds": 3}}, "a few trials, to see how it goes"),
    "Usual": ({"trials": 20, "verification": {"top": 2, "rounds": 3}}, "enough for four or five arguments"),
    "Thorough": ({"trials": 50, "verification": {"top": 3, "rounds": 5}}, "for many arguments and small differences"),
}
USUAL = Budget()


def budget(fields: Fields, rebuild: Callable[[], object]) -> None:
    """The part of the form."""
    draft = fields.draft
    with element("section", "card stack"):
        heading("What it may cost", "h2")
        fields.note("budget")
        with element("div", "row"):
            for name, (extent, about) in EXTENTS.items():

                def choose(extent: dict[str, Any] = extent) -> None:
                    kept = {
                        part: value for part, value in draft.get("budget", default={}).items() if part != "wall_time"
                    }
                    fields.set(("budget",), kept | copy.deepcopy(extent))
                    rebuild()

                ui.button(name, on_click=choose).props(f'outline no-caps title="{about}"')
        with row():
            _stepper(fields, "Trials", ("budget", "trials"), USUAL.trials)
            _stepper(fields, "Best to verify", ("budget", "verification", "top"), USUAL.verification.top, least=0)
            _stepper(fields, "Rounds of verification", ("budget", "verification", "rounds"), USUAL.verification.rounds)
        text(
            "p",
            "Each trial starts the engine anew and measures it. In the end the best are measured again beside the "
            "default, so that chance is not taken for a gain.",
            "muted small",
        )
        with row():
            fields.number("Search at most", "budget", "wall_time", scale=1 / 60, suffix="min", usual="no limit")
            fields.number("Trials at the same time", "budget", "parallel", usual=USUAL.parallel)
            fields.number("Repeats of each level", "budget", "repeats", usual=USUAL.repeats)


def _stepper(fields: Fields, label: str, path: tuple[str, ...], usual: int, least: int = 1) -> None:
    """A small whole number, with buttons for less and more."""
    with element("div", "stepper"):
        control = fields.number(label, *path, usual=usual)

        def step(by: int) -> None:
            value = control.value if control.value is not None else usual
            control.set_value(max(least, int(value) + by))

        with control.add_slot("append"):
            for icon, by, what in (("remove", -1, "less"), ("add", 1, "more")):
                button = ui.button(icon=icon, on_click=lambda _, by=by: step(by))
                button.props(f'flat round dense size=sm aria-label="{label}: {what}"')
