"""What the parameters did: parallel coordinates, and how much each explains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from servelab.report.figure import axis_label, shown
from servelab.report.front import spreads
from servelab.report.importance import Importance, explained
from servelab.report.words import value_text
from servelab.spec.assess import goal_key
from servelab.spec.study import Study
from servelab.store.views import TrialPoint
from servelab.web.charts import Option, Palette, axis, base, tooltip
from servelab.web.drawing import Drawing, Sorted, thinned

LINES = 200  # of the parallel coordinates
_STAGGERED = (12, 30)  # pixels: neighbours' names would run into each other
WEIGHED = 500  # trials that the importance is worked out from


def parallel_chart(study: Study, kinds: Sorted, colours: Palette) -> Drawing | None:
    """A line for each measured trial through its parameters to its objective."""
    objective = study.objectives[0]
    key, names = goal_key(objective), list(study.changed)
    known = [p for kind in ("keeps", "breaks", "doubt") for p in kinds[kind] if key in p.outcome and p.parameters]
    if len(known) < 2 or not names:
        return None
    known.sort(key=lambda p: p.outcome[key], reverse=objective.direction == "maximize")
    chosen = known[: LINES // 3] + thinned(known[LINES // 3 :], LINES - LINES // 3)
    axes = [_dimension(index, name, chosen) for index, name in enumerate(names)]
    end = {"dim": len(names), "name": axis_label(objective.metric), "type": "value", "scale": True}
    end["nameGap"] = _STAGGERED[len(names) % 2]
    values = [shown(objective.metric, point.outcome[key]) for point in chosen]
    data = [_row(point, names, axes, value) for point, value in zip(chosen, values, strict=True)]
    up = objective.direction == "maximize"
    shades = [colours.line, colours.accent] if up else [colours.accent, colours.line]
    option: Option = {
        "animation": False,
        "backgroundColor": "transparent",
        "textStyle": {"fontFamily": "system-ui, sans-serif"},
        "parallel": {
            "left": 60,
            "right": 70,
            "top": 56,
            "bottom": 24,
            "parallelAxisDefault": {
                "nameTextStyle": {"color": colours.ink, "fontSize": 11},
                "nameTruncate": {"maxWidth": 220},
                "axisLine": {"lineStyle": {"color": colours.muted}},
                "axisTick": {"lineStyle": {"color": colours.muted}},
                "axisLabel": {"color": colours.muted, "hideOverlap": True},
            },
        },
        "parallelAxis": [*axes, end],
        "visualMap": {
            "show": False,
            "min": min(values),
            "max": max(values) if max(values) > min(values) else min(values) + 1,
            "dimension": len(names),
            "inRange": {"color": shades},
        },
        "tooltip": tooltip(colours),
        "series": [{"type": "parallel", "silent": True, "lineStyle": {"width": 1.2, "opacity": 0.6}, "data": data}],
    }
    part = f" {len(chosen):,} of {len(known):,} are drawn, the best among them." if len(chosen) < len(known) else ""
    return Drawing(option, f"Each line is a measured trial; strong colour: better {objective.metric}.{part}")


def _row(point: TrialPoint, names: Sequence[str], axes: Sequence[Option], value: float) -> list[Any]:
    return [*(_cell(point, name, axes[index]) for index, name in enumerate(names)), value]


def _cell(point: TrialPoint, name: str, axis_: Option) -> Any:
    if name not in point.parameters:
        return "-"
    value = point.parameters[name]
    return value_text(value) if axis_["type"] == "category" else value


def _dimension(index: int, name: str, known: Sequence[TrialPoint]) -> Option:
    values = [point.parameters[name] for point in known if name in point.parameters]
    found: Option = {"dim": index, "name": name, "nameGap": _STAGGERED[index % 2]}
    if any(isinstance(value, str | bool) for value in values) or not values:
        return found | {"type": "category", "data": list(dict.fromkeys(value_text(value) for value in values))}
    numbers = [float(value) for value in values]
    return found | {"type": "log" if spreads(numbers) else "value", "scale": True}


def importance_chart(study: Study, kinds: Sorted, colours: Palette) -> Drawing | None:
    """How much of the objective's variance each parameter explains, with intervals."""
    key = goal_key(study.objectives[0])
    measured = [*kinds["keeps"], *kinds["breaks"], *kinds["doubt"]]
    known = [point for point in measured if point.kind == "search" and key in point.outcome]
    chosen = thinned(sorted(known, key=lambda point: point.number), WEIGHED)
    bars = explained([(point.parameters, point.outcome[key]) for point in chosen], study.changed)
    if not bars:
        return None
    x = axis(colours, "variance explained (%)", x=True, min=0, max=100)
    y = {
        "type": "category",
        "inverse": True,
        "data": [bar.parameter for bar in bars],
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "axisLabel": {"color": colours.ink, "width": 160, "overflow": "truncate"},
    }
    option = base(colours, x, y, [_bars(bars, colours), _whiskers(bars, colours)], legend=False)
    option["grid"] |= {"left": 175, "containLabel": False, "bottom": 44}
    caption = (
        f"Main effects on {study.objectives[0].metric} over {len(chosen):,} measured trials (epsilon "
        "squared; thin lines: 90 % bootstrap intervals). "
        "A hint, not a proof: interactions are not seen, and the sampler does not try all values evenly."
    )
    return Drawing(option, caption)


def _bars(bars: Sequence[Importance], colours: Palette) -> Option:
    data = [[round(bar.share * 100, 1), bar.parameter] for bar in bars]
    return {"type": "bar", "barMaxWidth": 18, "itemStyle": {"color": colours.accent, "opacity": 0.7}, "data": data}


def _whiskers(bars: Sequence[Importance], colours: Palette) -> Option:
    data = [[round(bar.low * 100, 1), round(bar.high * 100, 1), index] for index, bar in enumerate(bars)]
    return {
        "type": "custom",
        "silent": True,
        ":renderItem": "servelab.whisker",
        "itemStyle": {"color": colours.ink},
        "encode": {"x": [0, 1], "y": 2},
        "z": 5,
        "data": data,
    }
