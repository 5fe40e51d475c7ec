"""Charts of a trial: how latencies are distributed, and what each request waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from servelab.lab.records import Request
from servelab.report.figure import shown
from servelab.report.front import spreads
from servelab.spec.goal import Constraint
from servelab.spec.report import Report
from servelab.web.charts import Option, Palette, axis, base, bound_line, bound_text
from servelab.web.drawing import HOVER, Drawing

MOST_CURVES = 8
MOST_REQUESTS = 200
NAMES = {
    "ttft": "Time to first token",
    "itl": "Inter-token latency",
    "tpot": "Time per output token",
    "e2e": "End-to-end latency",
}


def distribution(
    name: str, curves: Sequence[tuple[str, Report]], bounds: Sequence[Constraint], colours: Palette
) -> Drawing | None:
    """The share of requests (of tokens, for ITL) that came within a time; None where it was not measured."""
    known = [(label, report.quantiles[name]) for label, report in curves if len(report.quantiles.get(name, ())) == 101]
    if not known:
        return None
    lines = [(label, [value * 1000 for value in quantiles]) for label, quantiles in known[:MOST_CURVES]]
    series: list[Option] = [
        {
            "type": "line",
            "name": label,
            "showSymbol": False,
            "data": [[value, share] for share, value in enumerate(values)],
            "lineStyle": {"width": 1.8},
        }
        for label, values in lines
    ]
    mine = [bound for bound in bounds if bound.metric.startswith(f"{name}_p") and bound.max is not None]
    if mine:
        series[0]["markLine"] = bound_line(colours, mine[0])
    values = [value for _, line in lines for value in line]
    x = axis(colours, f"{name} (ms, left is better)", x=True, log=spreads(values))
    what = "tokens" if name == "itl" else "requests"
    y = axis(colours, f"{what} (%)", min=0, max=100)
    option = base(colours, x, y, series)
    option["tooltip"] |= {"trigger": "axis", ":valueFormatter": "(share) => share + ' %'"}
    left = f" The first {MOST_CURVES} of {len(known)} measurements." if len(known) > MOST_CURVES else ""
    dashed = f" {bound_text(mine[0], values)}" if mine else ""
    return Drawing(option, f"Share of {what} that came within a time.{dashed}{left}")


def timeline(requests: Sequence[Request], total: int, colours: Palette) -> Drawing:
    """A bar for each request: held back by the client, until its first token, and the rest."""
    rows = [_parts(request) for request in requests]
    words = [_words(number, request) for number, request in enumerate(requests)]
    shades = {
        "held back by the client": colours.warn,
        "until the first token": colours.muted,
        "the other tokens": colours.accent,
        "failed": colours.bad,
    }
    start: Option = {
        "type": "bar",
        "stack": "time",
        "silent": True,
        "itemStyle": {"color": "transparent"},
        "data": [request.intended for request in requests],
    }
    series = [start]
    for index, (name, colour) in enumerate(shades.items()):
        data: list[Any] = [
            {"value": row[index], "told": told} if row[index] else 0 for row, told in zip(rows, words, strict=True)
        ]
        if any(data):
            look = {"itemStyle": {"color": colour}, "barCategoryGap": "20%"}
            series.append({"type": "bar", "stack": "time", "name": name, "data": data, **look})
    y = {
        "type": "category",
        "inverse": True,
        "data": [str(number) for number in range(len(requests))],
        "name": "request",
        "nameLocation": "start",
        "nameTextStyle": {"color": colours.muted},
        "axisTick": {"show": False},
        "axisLine": {"show": False},
        "axisLabel": {"color": colours.muted},
    }
    option = base(colours, axis(colours, "seconds since the measurement began", x=True), y, series)
    option["tooltip"] |= HOVER
    part = f" The first {len(requests):,} of {total:,} requests." if total > len(requests) else ""
    return Drawing(option, f"Each bar is a request, in the order in which they were meant to be sent.{part}")


def _parts(request: Request) -> tuple[float, float, float, float]:
    """Seconds held back, until the first token, after it, and spent failing."""
    held = max(0.0, request.sent - request.intended)
    if request.error is not None or request.first is None:
        return (held, 0.0, 0.0, max(0.0, request.end - request.sent))
    return (held, max(0.0, request.first - request.sent), max(0.0, request.end - request.first), 0.0)


def _words(number: int, request: Request) -> str:
    said = f"request {number}: {request.prompt_tokens:,} prompt and {request.output_tokens:,} output tokens"
    if request.error is not None:
        return f"{said}\nfailed: {request.error}"
    first = f"{shown('ttft_mean', request.first - request.intended):.1f} ms" if request.first is not None else "-"
    return f"{said}\nfirst token after {first}, all after {(request.end - request.intended) * 1000:,.1f} ms"
