"""Choose trials: those chosen, and a search among the trials of a study."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from servelab.report.words import parameters_text
from servelab.spec.trial import StudyRecord
from servelab.web.chosen import MOST, Choice
from servelab.web.context import Context
from servelab.web.pages.frame import heading, in_thread
from servelab.web.pages.parts import element, text
from servelab.web.trials import TrialLine, TrialPage, Wanted, trial_page

OFFERED = 8  # trials at once; with more, search
Changed = Callable[[list[Choice]], Awaitable[object]]


class Picker:
    """The selection; ``changed`` is called with it whenever it changes."""

    def __init__(self, context: Context, choices: list[Choice], changed: Changed) -> None:
        self._context = context
        self._choices = list(choices)
        self._changed = changed
        with element("section", "card stack") as self._card:
            heading("Trials", "h2")
            self._chosen = element("div", "stack tight")
            with ui.expansion("Add trials", icon="add", value=len(choices) < 2).props("dense"):
                with element("div", "row"):
                    self._study = ui.select([], label="Study", with_input=True).props("outlined dense options-dense")
                    self._text = ui.input("Search its trials", placeholder="number, name=value, default").props(
                        "outlined dense clearable stack-label debounce=250"
                    )
                self._offered = element("div", "stack tight").props("aria-live=polite")
        for control in (self._study, self._text):
            control.classes("picked").on_value_change(self._offer)

    async def start(self) -> None:
        """Read the studies, and show the selection."""
        rows = await in_thread(self._context.store.list_studies)
        self._study.set_options([row.id for row in rows])
        known = {row.id for row in rows}
        first = next((choice.study for choice in self._choices if choice.study in known), None)
        self._show_chosen()
        self._study.set_value(first or (rows[0].id if rows else None))
        if not rows:
            self._offered.clear()
            with self._offered:
                text("span", "There is no study yet.", "muted")
                ui.link("Write the first one", "/new")

    async def _offer(self) -> None:
        if not self._study.value:
            return
        record = await in_thread(self._context.store.get_study, self._study.value)
        points = await self._context.live.points(record.id)
        wanted = Wanted(limit=OFFERED, text=(self._text.value or "")[:200])
        found = await in_thread(trial_page, self._context.store, record, points, wanted)
        self._offered.clear()
        with self._offered:
            self._show_offered(record, found)

    def _show_offered(self, record: StudyRecord, found: TrialPage) -> None:
        if not found.trials:
            text("span", "No trial fits." if self._text.value else "It has no trials yet.", "muted")
            return
        with element("ul", "picks"):
            for line in found.trials:
                self._line(Choice(record.id, line.number), line)
        more = found.total - len(found.trials)
        if more > 0:
            text("span", f"{more:,} more: search for a number, a parameter=value, or default.", "small muted")

    def _line(self, choice: Choice, line: TrialLine) -> None:
        with element("li", "offered"):
            chosen = choice in self._choices
            add = ui.button(icon="check" if chosen else "add", on_click=partial(self._add, choice))
            add.props(f'flat dense round size=sm aria-label="Add trial {choice.trial}"')
            add.set_enabled(bool(line.metrics or line.state in ("complete", "stopped")) and not chosen)
            text("span", f"trial {line.number} {line.title}".strip(), "name")
            text("span", line.outcome, "muted")
            text("span", ", ".join(f"{name} {one.text}" for name, one in line.metrics.items()))
            text("span", parameters_text(line.parameters), "muted small")

    async def _add(self, choice: Choice) -> None:
        if len(self._choices) >= MOST:
            ui.notify(f"At most {MOST} trials are compared at once: remove one first.", type="warning")
            return
        await self._set([*self._choices, choice])

    async def _set(self, choices: list[Choice]) -> None:
        self._choices = choices
        with self._card:  # the button that was pressed is made anew
            self._show_chosen()
            await self._offer()
            await self._changed(choices)

    def _show_chosen(self) -> None:
        self._chosen.clear()
        with self._chosen:
            for place, choice in enumerate(self._choices):
                self._chip(place, choice)

    def _chip(self, place: int, choice: Choice) -> None:
        others = [other for other in self._choices if other != choice]
        with element("div", "row chosen"):
            name = f"trial {choice.trial} of {choice.study}"
            ui.link(name, f"/studies/{choice.study}/trials/{choice.trial}")
            remove = ui.button(icon="close", on_click=partial(self._set, others))
            remove.props(f'flat dense round size=sm aria-label="Remove {name}"')
            if place == 0:
                text("span", "reference", "state note")
            else:
                first = ui.button("Make it the reference", on_click=partial(self._set, [choice, *others]))
                first.props(f'flat dense no-caps size=sm aria-label="Make {name} the reference"')
