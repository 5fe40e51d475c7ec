"""A study: how far it is, what it has found, its trials and its charts; live."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from servelab.spec.errors import NotFoundError
from servelab.spec.trial import StudyRecord
from servelab.store.views import TrialPoint
from servelab.web.charts import palette
from servelab.web.context import Context
from servelab.web.pages.frame import frame, heading, in_thread, is_dark, watch
from servelab.web.pages.parts import element, empty
from servelab.web.pages.study_answer import Answer
from servelab.web.pages.study_figures import Figures
from servelab.web.pages.study_head import Head
from servelab.web.pages.study_log import RunningLog
from servelab.web.pages.trial_table import TrialTable
from servelab.web.trials import trial_lines

MOST_LINES = 50  # rows sent at once; with more, the table reads what it shows


async def page(context: Context, study_id: str) -> None:
    """The page of one study."""
    try:
        record = await in_thread(context.store.get_study, study_id)
    except NotFoundError as error:
        with frame("No such study", "/"):
            empty(f"There is no study {study_id[:80]}", error.remedy or "It may have been removed.")
            ui.link("All studies", "/")
        return
    points = await context.live.points(record.id)
    ui.add_head_html('<script src="/static/trials.js"></script>')
    with frame(record.id, "/"):
        shown = _Shown(context, record, points)
        await shown.refresh()
        watch(context, record.id, shown.refresh, every=1.0)


class _Shown:
    """The parts of the page, and what they show."""

    def __init__(self, context: Context, record: StudyRecord, points: Sequence[TrialPoint]) -> None:
        self._context = context
        self._record = record
        self._points: dict[int, TrialPoint] = {point.number: point for point in points}
        self._client = ui.context.client
        self._head = Head(context, record)
        self._answer = Answer(context, record)
        self._figures = Figures(record, palette(is_dark()))
        with element("section", "card stack"):
            heading("Trials", "h2")
            self._table = TrialTable(record, len(points))
        self._log = RunningLog(record.id)
        self._charts_at = 0.0

    async def refresh(self) -> None:
        """Show what has changed."""
        store, study_id = self._context.store, self._record.id
        points = await self._context.live.points(study_id)
        self._record = await in_thread(store.get_study, study_id)
        await self._head.refresh(self._record, points)
        changed = [point.number for point in points if self._points.get(point.number) is not point]
        if changed:
            lines = await in_thread(trial_lines, store, self._record, changed[-MOST_LINES:])
            self._table.changed(lines, len(points))
            self._points = {point.number: point for point in points}
        await self._figures.refresh(points)
        await self._log.refresh(points)
        await self._answer.refresh(self._record, points)
