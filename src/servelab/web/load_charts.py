"""What a study without an objective measured: metrics over the load, a line for each configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from servelab.report.figure import axis_label, shown
from servelab.report.standing import doubts
from servelab.report.words import parameters_text
from servelab.spec.metrics import format_metric
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.trial import Trial
from servelab.web.charts import Option, Palette, axis, base
from servelab.web.drawing import HOVER, Drawing, scatter

CURVES = 12  # trials that are drawn
METRICS = {
    "output_throughput": "Output throughput over the load",
    "ttft_p95": "Time to first token over the load",
    "itl_mean": "Inter-token latency over the load",
    "e2e_mean": "End-to-end latency over the load",
}


def load_charts(study: Study, trials: Sequence[Trial], colours: Palette) -> dict[str, Drawing]:
    """A chart for each metric that was measured."""
    measured = [trial for trial in trials if trial.reports][:CURVES]
    found = {name: _chart(name, study, measured, colours) for name in METRICS}
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def _chart(name: str, study: Study, trials: Sequence[Trial], colours: Palette) -> Drawing | None:
    levels = {trial.number: _by_level(name, trial.reports) for trial in trials}
    series: list[Option] = [
        {
            "type": "line",
            "name": f"trial {trial.number}: {parameters_text(trial.parameters)}",
            "symbolSize": 7,
            "data": [_point(name, level, reports) for level, reports in levels[trial.number].items()],
        }
        for trial in trials
        if levels[trial.number]
    ]
    if not series:
        return None
    doubtful = [row for number, found in levels.items() for row in _doubtful(name, number, found)]
    series += [scatter("doubt", study, colours, doubtful, symbolSize=10, z=3)] if doubtful else []
    kind = trials[0].reports[0].load.kind
    x = axis(colours, "concurrency (requests in flight)" if kind == "concurrency" else "load level", x=True)
    option = base(colours, x, axis(colours, axis_label(name)), series)
    option["legend"] |= {":formatter": "(name) => name.split(':')[0]"}
    option["color"] = [colours.accent, colours.warn, colours.good, colours.bad, colours.muted, colours.ink]
    first = f" The first {CURVES} trials that were measured." if len(trials) == CURVES else ""
    option["tooltip"] |= HOVER
    doubt = " Diamonds: in doubt; pointing at one says why." if doubtful else ""
    return Drawing(option, f"Means over measurements at each load level.{first}{doubt}")


def _by_level(name: str, reports: Sequence[Report]) -> dict[float, list[Report]]:
    found: dict[float, list[Report]] = {}
    for report in reports:
        if name in report.metrics:
            found.setdefault(report.load.level, []).append(report)
    return dict(sorted(found.items()))


def _point(name: str, level: float, reports: Sequence[Report]) -> Option:
    """A point of a curve; one in doubt has its symbol from another series."""
    return {"value": [level, shown(name, _mean(name, reports))]} | ({"symbol": "none"} if doubts(reports) else {})


def _doubtful(name: str, trial: int, levels: Mapping[float, Sequence[Report]]) -> list[list[float | str]]:
    """The points in doubt as x, y, trial, text."""
    found: list[list[float | str]] = []
    for level, reports in levels.items():
        reasons = doubts(reports)
        if reasons:
            said = "\n".join((f"{name} {format_metric(name, _mean(name, reports))}, in doubt:", *reasons))
            found.append([level, shown(name, _mean(name, reports)), trial, said])
    return found


def _mean(name: str, reports: Sequence[Report]) -> float:
    return fmean(report.metrics[name] for report in reports)
