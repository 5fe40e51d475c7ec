"""What the accelerators do that a study's trials hold on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

from servelab.lab.system import Accelerator, accelerators
from servelab.store.views import TrialPoint
from servelab.web.context import Context
from servelab.web.now import running
from servelab.web.pages.parts import text


class Devices:
    """A line that is there from the first that a trial holds: what is below does not jump between trials."""

    def __init__(self, context: Context, study_id: str) -> None:
        self._context = context
        self._id = study_id
        self._running: list[int] = []
        self._text = text("div", "", "devices muted")
        self._text.set_visibility(False)

    def refresh(self, points: Sequence[TrialPoint]) -> None:
        """Which trials run; drivers may be slow, and nobody waits for them."""
        self._running = running(points)

    async def follow(self) -> None:
        """Look again while a trial runs; drivers are asked once for all pages, and not all the time."""
        held: list[Accelerator] = []
        if self._running:
            found: tuple[Accelerator, ...] = await self._context.devices.get(
                "accelerators", time.monotonic(), lambda: tuple(accelerators(self._context.store))
            )
            held = [one for one in found if one.study == self._id and one.trial in self._running]
        self._text.set_text("  ·  ".join(_said(one) for one in held))
        if held:
            self._text.set_visibility(True)


def _said(one: Accelerator) -> str:
    used = f"{one.used / 1e9:.1f} of {one.memory / 1e9:.0f} GB in use"
    busy = "" if one.utilization is None else f", busy {one.utilization:.0%} of the time"
    return f"Accelerator {one.index} (trial {one.trial}): {one.name}, {used}{busy}"
