"""What a search shows as it goes: how the best grew, and what was traded for what. Numbers only, no drawing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from servelab.spec.assess import goal_key
from servelab.spec.base import Parameters
from servelab.spec.goal import Constraint, Objective
from servelab.spec.metrics import metric
from servelab.spec.study import Study

Ending = Literal["keeps", "breaks", "doubt", "stopped", "failed"]
ENDINGS: Mapping[Ending, str] = {
    "keeps": "keeps the SLO",
    "breaks": "breaks the SLO",
    "doubt": "in doubt",
    "stopped": "stopped early",
    "failed": "failed",
}
"""How a trial of the search ended, in words; without an SLO, what ``keeps`` is called ``measured``."""

USUAL = ("ttft_p95", "e2e_p95", "itl_p95", "e2e_mean")
"""What an objective is set against where the study names nothing else, the best known first."""


def ending(state: str, feasible: bool | None) -> Ending | None:
    """How a trial ended, by its state and whether it kept every SLO; None while it has not."""
    if state == "complete":
        return "doubt" if feasible is None else "keeps" if feasible else "breaks"
    if state == "stopped":
        return "stopped"
    return "failed" if state == "failed" else None


def best_so_far(objective: Objective, values: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """The trials, in order, at which the best value until then grew, with that value."""
    best: list[tuple[int, float]] = []
    for number, value in sorted(values):
        if not best or objective.better(value, best[-1][1]):
            best.append((number, value))
    return best


def lower_is_better(goal: Objective | Constraint) -> bool:
    """Which way is better on an axis that shows a goal."""
    return goal.direction == "minimize" if isinstance(goal, Objective) else goal.max is not None


def pareto_front(
    x: Objective | Constraint, y: Objective, points: Iterable[tuple[float, float]]
) -> list[tuple[float, float]]:
    """The points that no other one beats in both, from the best ``x`` on."""
    left, down = lower_is_better(x), y.direction == "minimize"
    front: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (p[0] if left else -p[0], p[1] if down else -p[1])):
        if not front or y.better(point[1], front[-1][1]):
            front.append(point)
    return front


def other_axis(
    study: Study, outcomes: Sequence[Mapping[str, float]], metrics: Collection[str] = ()
) -> Objective | Constraint | None:
    """What the first objective is set against: the second, or the constraint that most trials break, or a latency.

    ``outcomes`` are the trials' values by ``goal_key``; ``metrics`` is what else was measured.
    """
    if len(study.objectives) > 1:
        return study.objectives[1]
    if study.constraints:
        return max(study.constraints, key=lambda constraint: _broken(constraint, outcomes))
    for name in USUAL:
        if name in metrics and name != study.objectives[0].metric:
            return Objective(metric=name, direction=metric(name).direction)
    return None


def _broken(constraint: Constraint, outcomes: Sequence[Mapping[str, float]]) -> int:
    values = (outcome.get(goal_key(constraint)) for outcome in outcomes)
    return sum(value is not None and constraint.violation(value) > 0 for value in values)


def spreads(values: Sequence[float]) -> bool:
    """Whether values span more than a factor of 20, so that a logarithmic axis shows them better."""
    positive = [value for value in values if value > 0]
    return len(positive) == len(values) and bool(positive) and max(positive) > 20 * min(positive)


def differing(parameters: Sequence[Parameters], names: Iterable[str]) -> list[str]:
    """Those parameters that have more than one value."""
    return [name for name in names if len({str(one[name]) for one in parameters if name in one}) > 1]
