"""What a study without an objective measured: metrics over the load, a line for each configuration."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from servelab.report.figure import axis_label, shown
from servelab.report.words import parameters_text
from servelab.spec.report import Report
from servelab.spec.trial import Trial
from servelab.web.charts import Option, Palette, axis, base
from servelab.web.drawing import HOVER, Drawing

CURVES = 12  # trials that are drawn
METRICS = {
    "output_throughput": "Output throughput over the load",
    "ttft_p95": "Time to first token over the load",
    "itl_mean": "Inter-token latency over the load",
    "e2e_mean": "End-to-end latency over the load",
}


def load_charts(trials: Sequence[Trial], colours: Palette) -> dict[str, Drawing]:
    """A chart for each metric that was measured."""
    measured = [trial for trial in trials if trial.reports][:CURVES]
    found = {name: _chart(name, measured, colours) for name in METRICS}
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def _chart(name: str, trials: Sequence[Trial], colours: Palette) -> Drawing | None:
    curves = {trial.number: _by_level(name, trial.reports) for trial in trials}
    series: list[Option] = [
        {
            "type": "line",
            "name": f"trial {trial.number}: {parameters_text(trial.parameters)}",
            "symbolSize": 7,
            "data": curves[trial.number],
        }
        for trial in trials
        if curves[trial.number]
    ]
    if not series:
        return None
    kind = trials[0].reports[0].load.kind
    x = axis(colours, "concurrency (requests in flight)" if kind == "concurrency" else "load level", x=True)
    option = base(colours, x, axis(colours, axis_label(name)), series)
    option["legend"] |= {":formatter": "(name) => name.split(':')[0]"}
    option["color"] = [colours.accent, colours.warn, colours.good, colours.bad, colours.muted, colours.ink]
    first = f" The first {CURVES} trials that were measured." if len(trials) == CURVES else ""
    option["tooltip"] |= HOVER
    return Drawing(option, f"Means over measurements at each load level.{first}")


def _by_level(name: str, reports: Sequence[Report]) -> list[list[float]]:
    found: dict[float, list[float]] = {}
    for report in reports:
        if name in report.metrics:
            found.setdefault(report.load.level, []).append(shown(name, report.metrics[name]))
    return [[level, fmean(values)] for level, values in sorted(found.items())]
