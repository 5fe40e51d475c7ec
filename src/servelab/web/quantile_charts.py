"""Latency distributions of several configurations over each other, as quantiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servelab.report.distributions import LATENCIES, mean_quantiles
from servelab.spec.metrics import format_metric
from servelab.spec.report import Report
from servelab.web.charts import DARK, Option, Palette, axis, base

COMPARED = ("ttft", "itl", "e2e")
Curves = Mapping[str, Sequence[float]]
"""Name of a configuration -> its 0, 1, ..., 100 % quantiles in seconds."""

_MORE = {False: ("#6f3fb5", "#00707c", "#9c2f6b"), True: ("#c4a6ff", "#66d0dd", "#f5a3cf")}
_DASHES = ("solid", "dashed", "dotted")
_WIDE = 20  # times from the least to the greatest: beyond, an axis of equal steps hides what is small


def curves(latency: str, reports: Mapping[str, Sequence[Report]]) -> Curves:
    """The quantiles of one latency; without those who have none."""
    found = {name: mean_quantiles(latency, measured) for name, measured in reports.items()}
    return {name: quantiles for name, quantiles in found.items() if quantiles}


def quantile_chart(colours: Palette, latency: str, found: Curves) -> Option:
    """Percentiles across, milliseconds up: hovering tells every configuration's value at a percentile."""
    values = [1000 * value for quantiles in found.values() for value in quantiles if value > 0]
    log = bool(values) and max(values) > _WIDE * min(values)
    x = axis(colours, f"percentile of {'tokens' if latency == 'itl' else 'requests'}", x=True, min=0, max=100)
    y = axis(colours, "ms", log=log) | ({} if log else {"min": 0})
    option = base(colours, x, y, [_line(place, name, found[name]) for place, name in enumerate(found)])
    option["color"] = [colours.accent, colours.warn, colours.good, colours.bad, *_MORE[colours is DARK], colours.muted]
    pointer = {"lineStyle": {"color": colours.muted}, "label": {":formatter": "({value}) => 'p' + Math.round(value)"}}
    words = {":valueFormatter": "(ms) => `${ms >= 100 ? Math.round(ms) : Number(ms.toPrecision(3))} ms`"}
    option["tooltip"] |= {"trigger": "axis", "axisPointer": pointer, **words}
    return option


def _line(place: int, name: str, quantiles: Sequence[float]) -> Option:
    points = [[percent, round(1000 * value, 4)] for percent, value in enumerate(quantiles) if value > 0]
    return {
        "type": "line",
        "name": name,
        "data": points,
        "showSymbol": False,
        "lineStyle": {"width": 1.8, "type": _DASHES[place % len(_DASHES)]},
    }


def told(latency: str, load: str, found: Curves) -> str:
    """The chart in words, for those who cannot see it."""
    name = f"{latency}_p50"
    each = [
        f"{label}: median {format_metric(name, values[50])}, 95 % within {format_metric(name, values[95])}"
        for label, values in found.items()
    ]
    return f"{LATENCIES[latency]} at {load} by percentile. {'; '.join(each)}."
