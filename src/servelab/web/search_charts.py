"""How the search went: the objective over the trials, and what was traded for what."""

from __future__ import annotations

from collections.abc import Sequence

from servelab.report.figure import shown
from servelab.report.front import best_so_far, other_axis, pareto_front, spreads
from servelab.spec.assess import goal_key
from servelab.spec.goal import Constraint, Objective
from servelab.spec.study import Study
from servelab.store.views import TrialPoint
from servelab.web.charts import Option, Palette, axis, base, bound_line, bound_text, goal_axis
from servelab.web.drawing import HOVER, Drawing, Sorted, drawn_only, label, scatter, share, thinned, told


def progress_chart(study: Study, kinds: Sorted, colours: Palette) -> Drawing | None:
    """The objective of each trial in order, and the best that kept every SLO until then."""
    objective = study.objectives[0]
    key = goal_key(objective)
    ended = [point for found in kinds.values() for point in found]
    if not ended:
        return None
    keeps = [(point.number, point.outcome[key]) for point in kinds["keeps"] if key in point.outcome]
    best = best_so_far(objective, keeps)
    scale = shown(objective.metric, 1.0)
    series, drawn, valued = [], 0, len(kinds["failed"])
    for kind in ("keeps", "breaks", "doubt", "stopped"):
        known = [point for point in kinds[kind] if key in point.outcome]
        valued += len(known)
        chosen = thinned(known, share(kinds, kind), [number for number, _ in best])
        drawn += len(chosen)
        rows = [[p.number, scale * p.outcome[key], p.number, label(p, study)] for p in chosen]
        series.append(scatter(kind, study, colours, rows))
    failed = thinned(kinds["failed"], share(kinds, "failed"))
    rows = [[point.number, 0.03, point.number, point.note] for point in failed]
    series.append(scatter("failed", study, colours, rows, yAxisIndex=1, symbolSize=[2, 12]))
    line = [[number, scale * value] for number, value in best]
    if line:
        line.append([max(point.number for point in ended), line[-1][1]])
    series.append(_best_line(line, _default_line(study, kinds, colours), colours))
    hidden = {"type": "value", "min": 0, "max": 1, "show": False}
    x = axis(colours, "trial", x=True, minInterval=1)
    option = base(colours, x, goal_axis(colours, objective), drawn_only(series))
    option["yAxis"] = [option["yAxis"], hidden]
    option["tooltip"] |= HOVER
    of = " of those that keep every SLO" if study.constraints else ""
    line_text = f"Line: the best so far{of}. " if _shows(line) else ""
    ticks = "; ticks at the bottom failed" if failed else ""
    caption = f"{line_text}Each point is a trial of the search{ticks}."
    untold = (
        f" {len(ended) - valued:,} without a value that can be trusted are not drawn." if len(ended) > valued else ""
    )
    return Drawing(option, caption + told(drawn + len(failed), valued) + untold)


def _shows(line: Sequence[Sequence[float]]) -> bool:
    """Whether there is a line: a point alone is none."""
    return bool(line) and line[0][0] != line[-1][0]


def _best_line(line: list[list[float]], default: Option | None, colours: Palette) -> Option:
    found: Option = {
        "type": "line",
        **({"name": "best so far"} if _shows(line) else {}),  # without a name it is not in the legend
        "step": "end",
        "symbol": "none",
        "silent": True,
        "lineStyle": {"color": colours.accent, "width": 1.6, "opacity": 0.6},
        "itemStyle": {"color": colours.accent},
        "data": line,
    }
    return found | ({"markLine": default} if default else {})


def _default_line(study: Study, kinds: Sorted, colours: Palette) -> Option | None:
    objective = study.objectives[0]
    default = next((p for found in kinds.values() for p in found if p.kind == "baseline"), None)
    value = default.outcome.get(goal_key(objective)) if default else None
    if value is None:
        return None
    return {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": colours.warn, "type": "dashed", "width": 1.4},
        "label": {"color": colours.warn, "formatter": "default", "position": "insideEndTop"},
        "data": [{"yAxis": shown(objective.metric, value)}],
    }


def trade_chart(study: Study, kinds: Sorted, colours: Palette) -> Drawing | None:
    """The first objective against the second, or against the constraint that most trials break."""
    objective = study.objectives[0]
    ended = [point for found in kinds.values() for point in found]
    other = other_axis(study, [point.outcome for point in ended])
    if other is None or goal_key(other) == goal_key(objective):
        return None
    pairs = {kind: _pairs(other, objective, found) for kind, found in kinds.items()}
    if sum(map(len, pairs.values())) < 2:
        return None
    front = pareto_front(other, objective, [(x, y) for x, y, _ in pairs["keeps"]])
    on_front = set(front)
    series, drawn = [], 0
    for kind in ("keeps", "breaks", "doubt", "stopped"):
        always = [point.number for x, y, point in pairs[kind] if (x, y) in on_front]
        known = {point.number: (x, y) for x, y, point in pairs[kind]}
        chosen = thinned([point for _, _, point in pairs[kind]], share(kinds, kind), always)
        drawn += len(chosen)
        rows = [[*known[point.number], point.number, label(point, study)] for point in chosen]
        series.append(scatter(kind, study, colours, rows))
    series.append(_front(front, other, colours))
    across = [x for found in pairs.values() for x, _, _ in found]
    log = spreads(across)
    x = goal_axis(colours, other, x=True, log=log)
    option = base(colours, x, goal_axis(colours, objective), drawn_only(series))
    option["tooltip"] |= HOVER
    bound = f" {bound_text(other, across)}" if isinstance(other, Constraint) else ""
    of = " of what keeps every SLO" if study.constraints else ""
    front_text = f"Line: the Pareto front{of}." if len(front) > 1 else ""
    return Drawing(option, f"{front_text}{bound}{told(drawn, sum(map(len, pairs.values())))}".strip())


def _pairs(
    x: Objective | Constraint, y: Objective, points: Sequence[TrialPoint]
) -> list[tuple[float, float, TrialPoint]]:
    a, b = goal_key(x), goal_key(y)
    known = [point for point in points if a in point.outcome and b in point.outcome]
    across, up = shown(x.metric, 1.0), shown(y.metric, 1.0)
    return [(across * point.outcome[a], up * point.outcome[b], point) for point in known]


def _front(front: list[tuple[float, float]], other: Objective | Constraint, colours: Palette) -> Option:
    found: Option = {
        "type": "line",
        **({"name": "Pareto front"} if len(front) > 1 else {}),
        "symbol": "none",
        "silent": True,
        "lineStyle": {"color": colours.muted, "width": 1.2},
        "itemStyle": {"color": colours.muted},
        "data": [list(point) for point in front] if len(front) > 1 else [],
    }
    return found | ({"markLine": bound_line(colours, other)} if isinstance(other, Constraint) else {})
