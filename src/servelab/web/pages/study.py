"""A study: how far it is, what it has found, its trials and its charts; live."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from nicegui import background_tasks, ui

from servelab.spec.errors import NotFoundError, StoreError
from servelab.spec.trial import StudyRecord
from servelab.store.views import TrialPoint
from servelab.web.context import Context
from servelab.web.pages.frame import frame, heading, in_thread, no_such_study, watch
from servelab.web.pages.parts import element, notice
from servelab.web.pages.study_answer import Answer
from servelab.web.pages.study_figures import Figures
from servelab.web.pages.study_head import Head
from servelab.web.pages.study_log import RunningLog
from servelab.web.pages.trial_table import TrialTable, ask_ahead
from servelab.web.trials import trial_lines

EVERY = 0.8  # seconds between two looks at what has happened
LOG = 2.0  # seconds between two looks at the log and the accelerators
LATE = 5.0  # seconds between two looks at what was put off
MOST_LINES = 50  # rows sent at once; with more, the table reads what it shows


async def page(context: Context, study_id: str) -> None:
    """The page of one study."""
    begun = context.live.last
    try:
        record = await in_thread(context.store.get_study, study_id)
    except NotFoundError as error:
        no_such_study(study_id, error)
        return
    points = await context.live.points(record.id)
    ask_ahead(record.id)
    with frame(record.id, "/"):
        shown = _Shown(context, record, points)
        await shown.begin(points)
        watch(context, record.id, begun, shown.refresh, every=EVERY)
        background_tasks.create(shown.catch_up())  # while the browser loads what the page needs
        # Timers begin to wait for the browser, and whatever the page awaits after that comes too late for its answer.
        ui.timer(LATE, shown.catch_up, immediate=False)
        ui.timer(LOG, shown.follow, immediate=False)


class _Shown:
    """The parts of the page, and what they show."""

    def __init__(self, context: Context, record: StudyRecord, points: Sequence[TrialPoint]) -> None:
        self._context = context
        self._record = record
        self._points: dict[int, TrialPoint] = {point.number: point for point in points}
        self._client = ui.context.client
        self._gone = notice("This study has been removed.", "warn")
        self._gone.set_visibility(False)
        self._head = Head(context, record)
        self._answer = Answer(context, record)
        self._figures = Figures(context, record)
        with element("section", "card stack"):
            heading("Trials", "h2")
            self._table = TrialTable(record, len(points))
        self._log = RunningLog(record.id)

    async def begin(self, points: Sequence[TrialPoint]) -> None:
        """Show what is known at once; what takes longer comes when the page is there."""
        await self._head.refresh(self._record, points)
        await self._log.refresh(points)
        self._figures.show_at_hand(points)
        self._answer.show_at_hand(self._record, points)

    async def refresh(self) -> None:
        """Show what has changed."""
        try:
            await self._refresh()
        except NotFoundError:
            self._gone.set_visibility(True)

    async def _refresh(self) -> None:
        store, study_id = self._context.store, self._record.id
        points = await self._context.live.points(study_id)
        row = await in_thread(store.find_study, study_id)
        told = {"state": row.state, "message": row.message, "finished_at": row.finished_at}
        self._record = self._record.model_copy(update=told)
        await self._head.refresh(self._record, points)
        changed = [point.number for point in points if self._points.get(point.number) is not point]
        if changed:
            lines = await in_thread(trial_lines, store, self._record, changed[-MOST_LINES:])
            self._table.changed(lines, len(points))
            self._points = {point.number: point for point in points}
        await self._log.refresh(points)
        await self._catch_up(points)

    async def follow(self) -> None:
        """Show what no event tells."""
        await self._log.follow()
        with contextlib.suppress(StoreError):
            await self._head.devices.follow()

    async def catch_up(self) -> None:
        """Draw and judge what was put off, when nothing more has happened since."""
        with contextlib.suppress(NotFoundError, StoreError):
            await self._catch_up(await self._context.live.points(self._record.id))

    async def _catch_up(self, points: Sequence[TrialPoint]) -> None:
        await self._figures.refresh(points)
        await self._answer.refresh(self._record, points)
