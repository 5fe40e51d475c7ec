"""The charts of a study's page; drawn anew as trials end, within a small share of the processor."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from nicegui import ui

from servelab.spec.assess import goal_key
from servelab.spec.metrics import metric
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store
from servelab.store.views import TrialPoint
from servelab.web.charts import Palette, chart, redraw
from servelab.web.drawing import Drawing
from servelab.web.load_charts import CURVES, METRICS, load_charts
from servelab.web.pages.frame import heading, in_thread
from servelab.web.pages.parts import element, text
from servelab.web.study_charts import WAITING, draw

REST = 50.0  # times as long as drawing takes, nothing is drawn again
SHORTEST = 2.0  # seconds between two drawings


class Figures:
    """Charts of fixed height: of the search, or of the load where the study has no objective."""

    def __init__(self, store: Store, record: StudyRecord, colours: Palette) -> None:
        self._store = store
        self._record = record
        self._colours = colours
        self._next = 0.0
        self._drawn: int | None = None
        with element("div", "grid two"):
            self._figures = {name: _Figure(name, title) for name, title in _titles(record.study).items()}

    async def refresh(self, points: Sequence[TrialPoint]) -> None:
        """Draw what has changed, unless it was drawn a moment ago."""
        now = time.monotonic()
        ended = sum(point.finished_at is not None for point in points)
        if now < self._next or ended == self._drawn:
            return
        self._drawn = ended
        found = await in_thread(self._draw, points)
        for name, figure in self._figures.items():
            figure.show(found.get(name))
        self._next = time.monotonic() + max(SHORTEST, REST * (time.monotonic() - now))

    def _draw(self, points: Sequence[TrialPoint]) -> Mapping[str, Drawing]:
        if self._record.study.objectives:
            return draw(self._record.study, points, self._colours)
        numbers = [point.number for point in points if point.finished_at is not None][:CURVES]
        return load_charts(self._store.trials(self._record.id, with_reports=True, numbers=numbers), self._colours)


def _titles(study: Study) -> dict[str, str]:
    if not study.objectives:
        return {name: metric(name).title.capitalize() for name in METRICS}
    return {
        "progress": f"{goal_key(study.objectives[0])} over the trials",
        "trade": "What is traded for what",
        "parallel": "Configurations",
        "importance": "Which parameters matter",
    }


class _Figure:
    """A chart with its title and caption; words stand in its place until there is something to draw."""

    def __init__(self, name: str, title: str) -> None:
        self._title = title
        with element("section", "card stack tight"):
            heading(title, "h2")
            self._place = element("div", "chart")
            with self._place:
                text("div", WAITING.get(name, "The curve appears here when a trial has been measured."), "empty")
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
