"""What charts of trials share: which trials, how they ended, and how many may be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from servelab.report.front import ENDINGS, Ending, ending
from servelab.report.words import parameters_text
from servelab.spec.assess import goal_key
from servelab.spec.metrics import format_metric
from servelab.spec.study import Study
from servelab.store.views import TrialPoint
from servelab.web.charts import Option, Palette

DRAWN = 600  # points of a chart; more only cover each other, and every browser gets them again and again
SYMBOLS: Mapping[Ending, str] = {
    "keeps": "circle",
    "breaks": "triangle",
    "doubt": "diamond",
    "stopped": "emptyCircle",
    "failed": "rect",
}
HOVER = {":formatter": "servelab.hover"}
"""The words of a point: its row is x, y, number, text. See static/trials.js."""


@dataclass(frozen=True)
class Drawing:
    """A chart and the sentence under it."""

    option: Option
    caption: str


Sorted = dict[Ending, list[TrialPoint]]


def sorted_out(points: Sequence[TrialPoint]) -> Sorted:
    """The ended trials of the search by how they ended."""
    found: Sorted = {name: [] for name in ENDINGS}
    for point in points:
        if point.kind != "verification" and (ended := ending(point.state, point.feasible)) is not None:
            found[ended].append(point)
    return found


def thinned(points: Sequence[TrialPoint], most: int, always: Sequence[int] = ()) -> list[TrialPoint]:
    """Evenly chosen ones of many, and those of these numbers."""
    if len(points) <= most:
        return list(points)
    step, kept = len(points) / most, set(always)
    chosen = {points[int(index * step)].number for index in range(most)} | kept
    return [point for point in points if point.number in chosen]


def _colour(kind: Ending, colours: Palette) -> str:
    return {
        "keeps": colours.accent,
        "breaks": colours.bad,
        "doubt": colours.muted,
        "stopped": colours.warn,
        "failed": colours.bad,
    }[kind]


def _name(kind: Ending, study: Study) -> str:
    return "measured" if kind == "keeps" and not study.constraints else ENDINGS[kind]


def scatter(kind: Ending, study: Study, colours: Palette, data: list[Any], **more: Any) -> Option:
    """A series of points of one kind, each a row of x, y, number, and text."""
    return {
        "type": "scatter",
        "name": _name(kind, study),
        "symbol": SYMBOLS[kind],
        "symbolSize": 8,
        "itemStyle": {"color": _colour(kind, colours), "opacity": 0.85},
        "data": data,
        **more,
    }


def share(kinds: Sorted, kind: Ending) -> int:
    """How many points of a kind may be drawn, so that all kinds together are not too many."""
    total = sum(len(found) for found in kinds.values())
    return max(50, DRAWN * len(kinds[kind]) // max(1, total))


def drawn_only(series: Sequence[Option]) -> list[Option]:
    """The series that show something."""
    return [one for one in series if one["data"] or "markLine" in one]


def told(drawn: int, total: int) -> str:
    """That not every trial is drawn, where that is so."""
    return f" {drawn:,} of {total:,} trials are drawn, evenly chosen." if drawn < total else ""


def label(point: TrialPoint, study: Study) -> str:
    """What hovering a point says beyond its number."""
    said = [parameters_text(point.parameters)]
    for goal in {goal_key(goal): goal for goal in study.goals}.values():
        if goal_key(goal) in point.outcome:
            said.append(f"{goal_key(goal)} {format_metric(goal.metric, point.outcome[goal_key(goal)])}")
    return "\n".join(said)
