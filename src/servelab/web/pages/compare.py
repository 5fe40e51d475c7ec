"""Trials of any studies side by side: what they set, what they measured, and whether the differences are noise."""

from __future__ import annotations

from nicegui import ui

from servelab.report.compare import compare_trials
from servelab.spec.errors import NotFoundError, ServelabError
from servelab.spec.trial import StudyRecord, Trial
from servelab.store.store import Store
from servelab.web.chosen import Choice, address, look_up, read_choices
from servelab.web.context import Context
from servelab.web.pages.compared import compared
from servelab.web.pages.frame import frame, heading, in_thread
from servelab.web.pages.parts import element, empty, notice
from servelab.web.pages.pick_trials import Picker

Chosen = list[tuple[StudyRecord, Trial]]


async def page(context: Context, trials: str) -> None:
    """The page; ``trials`` is the selection as the address has it."""
    fault = ""
    try:
        choices = read_choices([trials[:2000]])
    except ServelabError as error:
        choices, fault = [], f"{error.message} {error.remedy}"
    with frame("Compare", "/compare"):
        heading("Compare trials")
        if fault:
            notice(fault, "bad")
        shown = _Shown(context.store)
        picker = Picker(context, choices, shown.refresh)
        shown.place()
        await picker.start()
        await shown.refresh(choices)


class _Shown:
    """What is compared."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._body: ui.element

    def place(self) -> None:
        """Where it goes on the page."""
        self._body = element("div", "stack spread").props("aria-live=polite")

    async def refresh(self, choices: list[Choice]) -> None:
        """Compare these, and keep them in the address."""
        ui.navigate.history.replace(address(choices))
        found, faults = await in_thread(_found, self._store, choices)
        measured = [(record, trial) for record, trial in found if trial.reports]
        self._body.clear()
        with self._body:
            for fault in faults:
                notice(fault, "warn")
            if len(measured) < 2:
                _teach(len(choices))
                return
            compared(compare_trials(measured), measured)


def _found(store: Store, choices: list[Choice]) -> tuple[Chosen, list[str]]:
    """The trials there are, and what to say of the others."""
    found: Chosen = []
    faults = []
    for choice in choices:
        try:
            found += look_up(store, [choice])
        except NotFoundError as error:
            faults.append(f"{error.message[:1].upper()}{error.message[1:]}.")
    for record, trial in found:
        if not trial.reports:
            why = trial.failure.message if trial.failure else trial.note or "wait until it is measured"
            faults.append(f"Trial {trial.number} of {record.id} has no measurement: it is {trial.state} ({why}).")
    return found, faults


def _teach(chosen: int) -> None:
    if chosen == 1:
        empty("One more", "Add the trial that this one is to be held against.")
    else:
        empty(
            "Nothing to compare yet",
            "Add two trials or more, of one study or of several. The first is the reference: each other one is shown "
            "with its change, its interval, and whether that is more than noise. The address keeps the selection.",
        )
