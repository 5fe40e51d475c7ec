"""The charts of a study's page; drawn anew as trials end, within a small share of the processor."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nicegui import ui

from servelab.spec.assess import goal_key
from servelab.spec.trial import StudyRecord
from servelab.store.views import TrialPoint
from servelab.web.charts import Palette, chart, redraw
from servelab.web.drawing import Drawing
from servelab.web.pages.frame import heading, in_thread
from servelab.web.pages.parts import Text, element, text
from servelab.web.study_charts import WAITING, Drawings, draw

REST = 50.0  # times as long as drawing takes, nothing is drawn again
SHORTEST = 2.0  # seconds between two drawings


class Figures:
    """Four charts of fixed height; a study without an objective has none."""

    def __init__(self, record: StudyRecord, colours: Palette) -> None:
        self._study = record.study
        self._colours = colours
        self._next = 0.0
        self._drawn: object = None
        self._figures: dict[str, _Figure] = {}
        if not record.study.objectives:
            return
        key = goal_key(record.study.objectives[0])
        titles = {
            "progress": f"{key} over the trials",
            "trade": "What is traded for what",
            "parallel": "Configurations",
            "importance": "Which parameters matter",
        }
        with element("div", "grid two"):
            self._figures = {name: _Figure(name, title) for name, title in titles.items()}

    async def refresh(self, points: Sequence[TrialPoint]) -> None:
        """Draw what has changed, unless it was drawn a moment ago."""
        now = time.monotonic()
        if not self._figures or now < self._next:
            return
        ended = sum(point.finished_at is not None for point in points)
        if ended == self._drawn:
            return
        self._drawn = ended
        found: Drawings = await in_thread(draw, self._study, points, self._colours)
        for name, figure in self._figures.items():
            figure.show(getattr(found, name))
        self._next = now + max(SHORTEST, REST * (time.monotonic() - now))


class _Figure:
    """A chart with its title and caption; words stand in its place until there is something to draw."""

    def __init__(self, name: str, title: str) -> None:
        self._title = title
        with element("section", "card stack tight"):
            heading(title, "h2")
            self._place = element("div", "chart")
            with self._place:
                self._waiting: Text | None = text("div", WAITING[name], "empty")
            self._caption = text("div", "", "small muted")
        self._chart: ui.echart | None = None

    def show(self, drawing: Drawing | None) -> None:
        """Draw it in place."""
        if drawing is None:
            return
        self._caption.set_text(drawing.caption)
        if self._chart is not None:
            redraw(self._chart, drawing.option)
            return
        self._place.clear()
        with self._place:
            self._chart = chart(drawing.option, f"{self._title}. {drawing.caption} The table below has the numbers.")
