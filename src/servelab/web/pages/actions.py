"""What can be done with a study, on the list of studies and on its own page."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from servelab.lab.background import start_in_background
from servelab.lab.control import cancel_study, delete_study, pause_study
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store
from servelab.web.pages.frame import heading, in_thread, told
from servelab.web.pages.parts import element

ACTIONS = ("Start", "Resume", "Pause", "Cancel", "Clone", "Delete")


def actions(state: str) -> list[str]:
    """What can be done with a study in a state."""
    return {
        "waiting": ["Start", "Cancel", "Clone", "Delete"],
        "running": ["Pause", "Cancel", "Clone"],
        "verifying": ["Pause", "Cancel", "Clone"],
        "paused": ["Resume", "Cancel", "Clone", "Delete"],
    }.get(state, ["Clone", "Delete"])


async def act(store: Store, name: str, study_id: str) -> bool:
    """Do it, after asking where it cannot be undone; whether it was done here."""
    if name == "Clone":
        ui.navigate.to(f"/new?from={study_id}")
        return False
    if name in _SURE and not await _sure(name, study_id):
        return False
    call: Callable[[Store, str], StudyRecord] = _CALLS[name]
    with told():
        await in_thread(call, store, study_id)
        ui.notify(f"{study_id} {_DONE[name]}", type="positive")
        return True
    return False


_CALLS: dict[str, Callable[[Store, str], StudyRecord]] = {
    "Start": start_in_background,
    "Resume": start_in_background,
    "Pause": pause_study,
    "Cancel": cancel_study,
    "Delete": delete_study,
}
_DONE = {
    "Start": "starts",
    "Resume": "goes on",
    "Pause": "pauses after its running trials",
    "Cancel": "is cancelled",
    "Delete": "is removed",
}
_SURE = {
    "Cancel": "Stop it for good? What it has measured stays.",
    "Delete": "Remove it with all that it has measured, and its logs? This cannot be undone.",
}


async def _sure(name: str, study_id: str) -> bool:
    with ui.dialog() as dialog, ui.card().classes("stack"):
        heading(f"{name} {study_id}?", "h2")
        ui.label(_SURE[name])
        with element("div", "row"):
            ui.button(f"{name} it", on_click=lambda: dialog.submit(True)).props("unelevated no-caps color=negative")
            ui.button("Keep it", on_click=lambda: dialog.submit(False)).props("flat no-caps")
    answer = await dialog
    dialog.delete()
    return bool(answer)
