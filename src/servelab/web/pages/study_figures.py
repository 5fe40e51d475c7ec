"""The charts of a study's page; drawn anew as trials end, within a small share of the processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui import ui

from servelab.spec.assess import goal_key
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord
from servelab.store.views import TrialPoint
from servelab.web.charts import chart, palette, redraw
from servelab.web.context import Context
from servelab.web.drawing import Drawing
from servelab.web.load_charts import CURVES, METRICS, load_charts
from servelab.web.pages.frame import heading, is_dark
from servelab.web.pages.parts import element, text
from servelab.web.study_charts import WAITING, draw


class Figures:
    """Charts of fixed height: of the search, or of the load where the study has no objective."""

    def __init__(self, context: Context, record: StudyRecord) -> None:
        self._context = context
        self._record = record
        self._dark = is_dark()
        self._shown: Mapping[str, Drawing] = {}
        with element("div", "grid two"):
            self._figures = {name: _Figure(name, title) for name, title in _titles(record.study).items()}

    def show_at_hand(self, points: Sequence[TrialPoint]) -> None:
        """Show what was drawn for somebody else, if it is good still."""
        self._show(self._context.shared.at_hand(self._key, _ended(points)) or {})

    async def refresh(self, points: Sequence[TrialPoint]) -> None:
        """Draw what has changed, unless it was drawn a moment ago."""
        self._show(await self._context.shared.get(self._key, _ended(points), lambda: self._draw(points)))

    @property
    def _key(self) -> tuple[str, str, bool]:
        return ("figures", self._record.id, self._dark)

    def _show(self, found: Mapping[str, Drawing]) -> None:
        if found is self._shown:
            return
        self._shown = found
        for name, figure in self._figures.items():
            figure.show(found.get(name))

    def _draw(self, points: Sequence[TrialPoint]) -> Mapping[str, Drawing]:
        study, colours = self._record.study, palette(self._dark)
        if study.objectives:
            return draw(study, points, colours)
        numbers = [point.number for point in points if point.finished_at is not None][:CURVES]
        trials = self._context.store.trials(self._record.id, with_reports=True, numbers=numbers)
        return load_charts(study, trials, colours)


def _ended(points: Sequence[TrialPoint]) -> int:
    return sum(point.finished_at is not None for point in points)


def _titles(study: Study) -> dict[str, str]:
    if not study.objectives:
        return METRICS
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
            with element("div", "scroll").props("tabindex=0"):
                self._place = element("div", f"chart figure-{name}")
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
