"""The look of charts on pages: ECharts in the colours of the theme, without any HTML made of data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from servelab.report.figure import axis_label, shown
from servelab.spec.goal import Constraint, Objective

Option = dict[str, Any]
PACKED = 20  # points


@dataclass(frozen=True)
class Palette:
    """Colours of a theme, as in servelab.css."""

    ink: str
    muted: str
    line: str
    surface: str
    accent: str
    good: str
    bad: str
    warn: str


LIGHT = Palette("#1b2026", "#586270", "#d8dde4", "#ffffff", "#1d5fbf", "#1b6e3c", "#b3261e", "#8a5200")
DARK = Palette("#e6eaef", "#a3aebb", "#333d48", "#1a2027", "#8ab8ff", "#7fd49b", "#ff9d94", "#f0bd6a")


def palette(dark: bool) -> Palette:
    """The colours of a theme."""
    return DARK if dark else LIGHT


def base(colours: Palette, x: Option, y: Option, series: Sequence[Option], legend: bool = True) -> Option:
    """Options of a chart with two axes: ours, and nothing that moves by itself."""
    return {
        "animation": False,
        "backgroundColor": "transparent",
        "color": [colours.accent, colours.warn, colours.good, colours.bad, colours.muted],
        "textStyle": {"fontFamily": "system-ui, sans-serif", "color": colours.ink},
        "grid": {"left": 8, "right": 16, "top": 52 if legend else 12, "bottom": 30, "containLabel": True},
        "legend": {
            "show": legend,
            "type": "scroll",
            "top": 0,
            "left": 0,
            "padding": [3, 0],
            "itemWidth": 14,
            "itemHeight": 9,
            "textStyle": {"color": colours.ink, "fontSize": 12},
            "pageIconColor": colours.ink,
            "pageIconInactiveColor": colours.line,
            "pageTextStyle": {"color": colours.muted},
        },
        "tooltip": tooltip(colours),
        "xAxis": x,
        "yAxis": y,
        "series": list(series),
    }


def tooltip(colours: Palette) -> Option:
    """What hovering shows: drawn as text, never as HTML. A point's own words are its ``name``."""
    return {
        "trigger": "item",
        "renderMode": "richText",
        "confine": True,
        "backgroundColor": colours.surface,
        "borderColor": colours.line,
        "textStyle": {"color": colours.ink, "fontSize": 12},
    }


def axis(colours: Palette, name: str, *, x: bool = False, log: bool = False, **more: Any) -> Option:
    """An axis of numbers; it need not begin at zero."""
    return {
        "type": "log" if log else "value",
        "scale": True,
        "name": name,
        "nameLocation": "middle" if x else "end",
        "nameGap": 26 if x else 10,
        "nameTextStyle": {"color": colours.muted, "align": "center" if x else "left"},
        "axisLine": {"show": x, "lineStyle": {"color": colours.line}},
        "axisTick": {"show": False},
        "axisLabel": {"color": colours.muted, "hideOverlap": True},
        "splitLine": {"lineStyle": {"color": colours.line, "opacity": 0.6}},
        "minorSplitLine": {"show": False},
        **more,
    }


def goal_axis(colours: Palette, goal: Objective | Constraint, *, x: bool = False, log: bool = False) -> Option:
    """An axis for an objective or a constraint, in the unit that people read."""
    direction = goal.direction if isinstance(goal, Objective) else None
    return axis(colours, axis_label(goal.metric, direction), x=x, log=log)


def bound_line(colours: Palette, constraint: Constraint, on: str = "xAxis") -> Option:
    """The bound of a constraint, as a line across the chart: part of a series, under ``markLine``."""
    return {
        "silent": True,
        "symbol": "none",
        "animation": False,
        "lineStyle": {"color": colours.bad, "type": "dashed", "width": 1.4},
        "label": {"show": False},
        "data": [{on: shown(constraint.metric, constraint.bound)}],
    }


def bound_text(constraint: Constraint, values: Sequence[float]) -> str:
    """That a bound is drawn dashed; beyond the values (in the shown unit), only where the axis happens to reach it."""
    bound = shown(constraint.metric, constraint.bound)
    if values and not min(values) <= bound <= max(values):
        return f"Dashed, where the axis reaches it: {constraint}."
    return f"Dashed: {constraint}."


def chart(option: Option, told: str) -> ui.echart:
    """A chart of a fixed height; ``told`` says what it shows to those who cannot see it."""
    found = ui.echart(_packed(option)).classes("chart")
    found.props["role"] = "img"
    found.props["aria-label"] = told
    return found


def _packed(option: Option) -> Option:
    """The option with long data as text that the browser parses.

    NiceGUI wraps every list of an option to observe it, and Vue in the browser does too: with thousands of points,
    most of a page's time.
    """
    return {**option, "series": [_packed_series(one) for one in option["series"]]}


def _packed_series(series: Option) -> Option:
    if len(series["data"]) < PACKED:
        return series
    rest = {name: value for name, value in series.items() if name != "data"}
    return rest | {":data": f"JSON.parse({json.dumps(json.dumps(series['data']))})"}


def redraw(found: ui.echart, option: Option) -> None:
    """Show other data in place."""
    found.options.clear()
    found.options.update(_packed(option))
    found.update()
