"""The end of the engine log of the trial that runs."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from servelab.lab.logs import log_tail
from servelab.store.views import TrialPoint
from servelab.web.now import running
from servelab.web.pages.frame import heading, in_thread
from servelab.web.pages.parts import element, text

SHOWN = 8 << 10  # bytes


class RunningLog:
    """Shown while a trial runs, and with its last words when it has ended."""

    def __init__(self, study_id: str) -> None:
        self._id = study_id
        self._number: int | None = None
        self._said = ""
        self._runs = False
        with element("section", "card stack tight") as self._card:
            with element("div", "row"):
                self._title = heading("Engine log", "h2")
                self._link = ui.link("all of it", "").classes("small")
            self._text = text("pre", "", "text log").props('tabindex=0 data-tail aria-label="End of the engine log"')
        self._card.set_visibility(False)

    async def refresh(self, points: Sequence[TrialPoint]) -> None:
        """Show the log of the newest trial that runs."""
        numbers = running(points)
        if not numbers and self._number is None:
            return
        self._runs = bool(numbers)
        self._number = numbers[-1] if numbers else self._number
        await self._read()

    async def follow(self) -> None:
        """An engine says more than events tell."""
        if self._runs:
            await self._read()

    async def _read(self) -> None:
        assert self._number is not None  # one runs, or ran
        said = await in_thread(log_tail, self._id, self._number, SHOWN)
        self._card.set_visibility(bool(said))
        self._title.set_text(f"Engine log of trial {self._number}")  # type: ignore[attr-defined]
        self._link.props(f'href="/api/v1/studies/{self._id}/trials/{self._number}/log"')
        if said != self._said:
            self._said = said
            self._text.set_text(said)
