"""A button that lets a person choose files of theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import events, ui

Take = Callable[[events.UploadEventArguments], Awaitable[None]]


def chooser(label: str, take: Take, largest: int, kinds: str, multiple: bool = False) -> ui.button:
    """The button; ``take`` gets each file that is of these kinds and not larger than so many bytes."""
    upload = ui.upload(on_upload=take, auto_upload=True, max_file_size=largest, multiple=multiple)
    # Quasar's own has parts without a name; it stays out of sight, and out of the way of the keyboard.
    upload.classes("unseen").props(f"accept={kinds} tabindex=-1 aria-hidden=true inert")
    upload.on("rejected", lambda: ui.notify(f"Larger than {largest >> 20} MB, or of another kind.", type="negative"))

    async def pick() -> None:
        upload.reset()
        upload.run_method("pickFiles")

    return ui.button(label, icon="upload", on_click=pick).props("outline no-caps")
