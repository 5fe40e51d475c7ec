"""Plots of the re-test: gains with their intervals, latencies of the default and the chosen configuration."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from servelab.report.digest import Digest
from servelab.report.distributions import LATENCIES, mean_quantiles
from servelab.report.figure import BAD, CHOSEN, DEFAULT, INK, MUTED, Plot, axis_label, draw, legend_above, shown
from servelab.report.words import count
from servelab.spec.goal import Constraint
from servelab.spec.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gains(found: Digest) -> Plot | None:
    """The gain of each verified configuration over the default, with its interval."""
    shown_standings = [s for s in found.verdict.standings if s.gain and s.gain.relative and s.gain.low is not None]
    if not shown_standings:
        return None
    objective, rounds = found.study.objectives[0], shown_standings[0].gain

    def paint(axes: Axes) -> None:
        for place, standing in enumerate(shown_standings):
            gain = standing.gain
            if gain is None or gain.low is None or gain.high is None:
                continue
            colour = CHOSEN if standing.trial == found.verdict.trial else MUTED
            axes.plot([gain.low * 100, gain.high * 100], [place, place], color=colour, lw=2.4, solid_capstyle="butt")
            axes.plot(gain.value * 100, place, "o" if standing.kept else "X", color=colour, ms=8)
        axes.axvline(0, color=DEFAULT, lw=1.6, ls=(0, (4, 3)))
        names = [f"trial {s.trial}" + ("" if s.kept else "\nbreaks SLO") for s in shown_standings]
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"gain in {objective.metric} over the default (%, right is better)")

    title = "Gain over the default, measured again"
    times = count(rounds.rounds, "interleaved round") if rounds else ""
    note = (
        f"Bars: 95 % bootstrap intervals over {times}, holding for all of them at once; dashed: the default. "
        "A bar that touches the dashed line is no proven gain."
    )
    return Plot("gains", title, note, draw("gains", title, 1.3 + 0.42 * len(shown_standings), paint))


def latencies(found: Digest) -> list[Plot]:
    """Distributions of TTFT and ITL (E2E where there is neither) at the highest load, chosen against default."""
    curves = {name: reports for name, reports in _sides(found).items() if reports}
    known = [name for name in ("ttft", "itl") if any(mean_quantiles(name, r) for r in curves.values())]
    if not known:
        known = [name for name in ("e2e",) if any(mean_quantiles(name, r) for r in curves.values())]
    return [_latency_plot(found, name, curves) for name in known]


def _sides(found: Digest) -> dict[str, Sequence[Report]]:
    """The reports of default and chosen configuration at the highest load level, by label."""
    verdict, sides = found.verdict, {}
    if verdict.default is not None:
        sides["default"] = found.reports.get(verdict.default, ())
    if verdict.trial is not None and verdict.trial != verdict.default:
        sides[f"trial {verdict.trial}"] = found.reports.get(verdict.trial, ())
    levels = [report.load.level for reports in sides.values() for report in reports]
    top = max(levels, default=0.0)
    return {name: [r for r in reports if r.load.level == top] for name, reports in sides.items()}


def _latency_plot(found: Digest, name: str, curves: dict[str, Sequence[Report]]) -> Plot:
    load = next(reports[0].load.label for reports in curves.values())
    bounds = [c for c in found.study.constraints if c.metric.startswith(f"{name}_p") and c.max is not None]

    def paint(axes: Axes) -> None:
        ends = []
        for label, reports in curves.items():
            quantiles = [value * 1000 for value in mean_quantiles(name, reports)]
            if quantiles:
                ends += [quantiles[2], quantiles[-1]]
                style = "--" if label == "default" else "-"
                axes.plot(quantiles, range(101), style, color=DEFAULT if label == "default" else CHOSEN, label=label)
        for constraint in bounds:
            _paint_corner(axes, constraint)
        if min(ends) > 0 and max(ends) > 20 * min(ends):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        else:
            axes.set_xlim(left=0)
        axes.set_ylim(0, 101)
        axes.set_xlabel(f"{LATENCIES[name].lower()} (ms, left is better)")
        axes.set_ylabel("requests (%)" if name != "itl" else "tokens (%)")
        legend_above(axes)

    title = f"{LATENCIES[name]} at {load}"
    what = "tokens" if name == "itl" else "requests"
    note = f"Share of {what} that came within a time, mean over measurements."
    note += f" Cross: {' and '.join(map(str, bounds))}; a curve must pass above it." if bounds else ""
    return Plot(f"latency-{name}", title, note, draw(f"latency-{name}", title, 2.9, paint))


def _paint_corner(axes: Axes, constraint: Constraint) -> None:
    """Where the SLO stands: the bound at its percentile."""
    percentile = constraint.metric.rpartition("_p")[2]
    axes.plot(constraint.bound * 1000, float(percentile), "+", color=BAD, ms=13, mew=2.2, label="SLO", ls="none")


def load_curve(found: Digest) -> Plot | None:
    """The objective over the load levels, chosen against default; None for a single level."""
    objective = found.study.objectives[0]
    verdict, sides = found.verdict, {}
    for label, number in {"default": verdict.default, f"trial {verdict.trial}": verdict.trial}.items():
        if number is not None and (label == "default" or number != verdict.default):
            sides[label] = _by_level(objective.metric, found.reports.get(number, ()))
    if max((len(levels) for levels in sides.values()), default=0) < 2:
        return None
    kind = next(r.load.kind for reports in found.reports.values() for r in reports)

    def paint(axes: Axes) -> None:
        for label, levels in sides.items():
            colour, style = (DEFAULT, "s--") if label == "default" else (CHOSEN, "o-")
            axes.plot(list(levels), list(levels.values()), style, color=colour, label=label, ms=5)
        axes.set_xlabel("concurrency (requests in flight)" if kind == "concurrency" else "request rate (req/s)")
        axes.set_ylabel(axis_label(objective.metric, objective.direction))
        legend_above(axes)

    title = f"{objective.metric} over the load"
    return Plot("load", title, "Means over measurements at each load level.", draw("load", title, 3.3, paint))


def _by_level(name: str, reports: Sequence[Report]) -> dict[float, float]:
    found: dict[float, list[float]] = {}
    for report in reports:
        if name in report.metrics:
            found.setdefault(report.load.level, []).append(shown(name, report.metrics[name]))
    return {level: fmean(values) for level, values in sorted(found.items())}
