"""The end of a trial's engine log, and the whole of it as a file."""

from __future__ import annotations

from nicegui import ui

from servelab.lab.logs import log_tail
from servelab.web.pages.frame import heading, in_thread, told
from servelab.web.pages.parts import element, text

SHOWN = 32 << 10  # bytes


async def show_log(study_id: str, number: int) -> None:
    """A card with the log."""
    said = ""
    with told():
        said = await in_thread(log_tail, study_id, number, SHOWN)
    with element("section", "card stack tight"):
        with element("div", "head"):
            heading("Engine log", "h2").classes("grow")
            if said:
                ui.link("Download all of it", f"/api/v1/studies/{study_id}/trials/{number}/log").classes("small")
        if said:
            text("pre", said, "text").props('tabindex=0 data-tail aria-label="End of the engine log"')
        else:
            text("div", "No engine log on this machine: it ran elsewhere, or has not been started yet.", "muted")
