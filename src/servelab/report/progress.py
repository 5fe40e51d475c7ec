"""Plots of the search: how the best grew, and what was traded for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from servelab.report.digest import Digest
from servelab.report.figure import (
    BAD,
    CHOSEN,
    DEFAULT,
    MUTED,
    OTHER,
    SURFACE,
    Plot,
    axis_label,
    draw,
    legend_above,
    shown,
)
from servelab.report.front import best_so_far as best_values
from servelab.report.front import other_axis, pareto_front, spreads
from servelab.report.rows import goal_value
from servelab.spec.assess import assess, goal_metrics
from servelab.spec.goal import Constraint, Objective
from servelab.spec.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = list[tuple[float, float]]


def _kinds(found: Digest) -> dict[str, list[Trial]]:
    """The trials of the search by how they ended."""
    kinds: dict[str, list[Trial]] = {"keeps": [], "breaks": [], "client": [], "stopped": [], "failed": []}
    for trial in found.trials:
        if trial.kind == "verification" or not trial.final:
            continue
        ended = trial.state
        if ended == "complete" and trial.client_bound:
            kinds["client"].append(trial)
        elif ended == "complete":
            ended_well = not found.study.constraints or assess(found.study, trial).feasible
            kinds["keeps" if ended_well else "breaks"].append(trial)
        else:
            kinds[ended].append(trial)
    return kinds


def best_so_far(found: Digest) -> Plot | None:
    """The objective of each trial in order, and the best that kept every SLO until then."""
    objective = found.study.objectives[0]
    kinds = _kinds(found)
    if not any(goal_value(objective, trial.reports) is not None for trials in kinds.values() for trial in trials):
        return None

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        keeps = _points(objective, kinds["keeps"])
        _paint_best(axes, objective, keeps, max(trial.number for trials in kinds.values() for trial in trials))
        _scatter(axes, keeps, "o", CHOSEN, "keeps the SLO" if found.study.constraints else "measured")
        _scatter(axes, _points(objective, kinds["breaks"]), "X", BAD, "breaks the SLO")
        _scatter(axes, _points(objective, kinds["client"]), "D", MUTED, "client too slow")
        _scatter(axes, _points(objective, kinds["stopped"]), "v", OTHER, "stopped early")
        failed = [trial.number for trial in kinds["failed"]]
        if failed:
            axes.plot(
                failed,
                [0.03] * len(failed),
                "|",
                color=BAD,
                ms=11,
                mew=2.2,
                label="failed",
                transform=axes.get_xaxis_transform(),
            )
        default = [
            point for point in _points(objective, kinds["keeps"] + kinds["breaks"]) if point[0] == found.verdict.default
        ]
        for _, value in default:
            axes.axhline(value, color=DEFAULT, lw=1.4, ls=(0, (4, 3)), label="default", zorder=1)
        _paint_ring(axes, [point for point in keeps if point[0] == found.verdict.trial != found.verdict.default])
        axes.set_xlabel("trial")
        axes.set_ylabel(axis_label(objective.metric, objective.direction))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.04, y=0.12)
        legend_above(axes)

    title = f"How {objective.metric} went over the trials"
    svg = draw("progress", title, 3.3, paint)
    note = "Each point is one trial of the search."
    first = min((number for number, _ in _points(objective, kinds["keeps"])), default=None)
    if first is not None and first < max(trial.number for trials in kinds.values() for trial in trials):
        note = f"Line: the best so far{' of those that keep every SLO' if found.study.constraints else ''}. {note}"
    return Plot("progress", title, note, svg)


def _points(objective: Objective, trials: Sequence[Trial]) -> Points:
    values = [(trial.number, goal_value(objective, trial.reports)) for trial in trials]
    return [(float(number), shown(objective.metric, value)) for number, value in values if value is not None]


def _scatter(axes: Axes, points: Points, marker: str, colour: str, label: str) -> None:
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, marker, color=colour, label=label, ms=6.5, mec=SURFACE, mew=0.6, ls="none")


def _paint_ring(axes: Axes, points: Points) -> None:
    """A ring around what is recommended."""
    for x, y in points:
        axes.plot(x, y, "o", color="none", mec=CHOSEN, mew=1.6, ms=12)


def _paint_best(axes: Axes, objective: Objective, points: Points, last: int) -> None:
    best = best_values(objective, [(int(number), value) for number, value in points])
    if best:
        x, y = zip(*best, (last, best[-1][1]), strict=True)
        axes.plot(x, y, color=CHOSEN, drawstyle="steps-post", lw=1.6, alpha=0.55)


def trade_off(found: Digest) -> Plot | None:
    """The first objective against the second, or against the constraint that most trials break."""
    other = _other_axis(found)
    if other is None:
        return None
    objective, kinds = found.study.objectives[0], _kinds(found)
    pairs = {kind: _pairs(other, objective, trials) for kind, trials in kinds.items()}
    if sum(map(len, pairs.values())) < 2:
        return None

    def paint(axes: Axes) -> None:
        _scatter(axes, pairs["keeps"], "o", CHOSEN, "keeps the SLO" if found.study.constraints else "measured")
        _scatter(axes, pairs["breaks"], "X", BAD, "breaks the SLO")
        _scatter(axes, pairs["client"], "D", MUTED, "client too slow")
        _scatter(axes, pairs["stopped"], "v", OTHER, "stopped early")
        _paint_front(axes, other, objective, pairs["keeps"])
        for number, (text, below) in _labels(found).items():
            points = _pairs(other, objective, [trial for trial in found.trials if trial.number == number])
            _paint_ring(axes, [] if below else points)
            for point in points:
                shift, side = ((0, -9), "top") if below else ((0, 9), "bottom")
                axes.annotate(text, point, xytext=shift, textcoords="offset points", ha="center", va=side)
        direction = other.direction if isinstance(other, Objective) else None
        axes.set_xlabel(axis_label(other.metric, direction))
        axes.set_ylabel(axis_label(objective.metric, objective.direction))
        axes.margins(x=0.1, y=0.16)
        _spread_out(axes, [x for points in pairs.values() for x, _ in points])
        if isinstance(other, Constraint):
            _paint_bound(axes, other)
        legend_above(axes)

    title = f"{objective.metric} against {other.metric}"
    bound = f" The shaded side breaks {other}." if isinstance(other, Constraint) else ""
    front = f"Thin line: the Pareto front{' of what keeps every SLO' if found.study.constraints else ''}."
    front = front if len(pareto_front(other, objective, pairs["keeps"])) > 1 else ""
    note = f"{front}{bound}".strip()
    return Plot("trade-off", title, note, draw("trade-off", title, 3.3, paint))


def _other_axis(found: Digest) -> Objective | Constraint | None:
    outcomes = [goal_metrics(found.study, trial.reports) for trial in found.trials]
    metrics = {name for trial in found.trials for report in trial.reports for name in report.metrics}
    return other_axis(found.study, outcomes, metrics)


def _pairs(x: Objective | Constraint, y: Objective, trials: Sequence[Trial]) -> Points:
    values = [(goal_value(x, trial.reports), goal_value(y, trial.reports)) for trial in trials]
    return [(shown(x.metric, a), shown(y.metric, b)) for a, b in values if a is not None and b is not None]


def _labels(found: Digest) -> dict[int, tuple[str, bool]]:
    """Trial -> its label and whether it stands below the point, so that two neighbours do not collide."""
    verdict = found.verdict
    labels = {verdict.default: ("default", True)} if verdict.default is not None else {}
    if verdict.trial is not None and verdict.trial != verdict.default:
        labels[verdict.trial] = (f"trial {verdict.trial}", False)
    return labels


def _paint_bound(axes: Axes, constraint: Constraint) -> None:
    """The bound, and the side beyond it shaded to the edge of the view."""
    bound = shown(constraint.metric, constraint.bound)
    left, right = axes.get_xlim()
    axes.axvline(bound, color=BAD, lw=1.4, ls=(0, (4, 3)))
    left, right = min(left, bound), max(right, bound)
    beyond = (bound, right) if constraint.max is not None else (left, bound)
    axes.axvspan(*beyond, color=BAD, alpha=0.08, lw=0)
    axes.set_xlim(left, right)


def _paint_front(axes: Axes, x: Objective | Constraint, y: Objective, points: Points) -> None:
    """Join the points that no other one beats in both."""
    front = pareto_front(x, y, points)
    if len(front) > 1:
        axes.plot(*zip(*front, strict=True), color=MUTED, lw=0.9, zorder=1)


def _spread_out(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis where values span much."""
    if spreads(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
