"""The search for the highest load that still meets the SLO: which level comes next, and what was found.

Pure functions of the reports so far, so that an interrupted search goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from servelab.spec.goal import Constraint
from servelab.spec.load import Load, LoadPoint, Saturation
from servelab.spec.report import Report
from servelab.spec.samples import asked_percentile

GROWTH = 2.0  # from level to level, until one misses; and of the requests, where a level is in doubt
MORE_REQUESTS = 4  # times a level's first requests, at most, unless the search says otherwise
DIGITS = 4  # of a level; more tell nothing

Judgement = Literal["met", "missed", "open"]


@dataclass(frozen=True)
class Found:
    """What a search knows. ``met`` and ``missed`` are the levels next to each other, None where there is none."""

    met: Report | None = None
    missed: Report | None = None
    surely_met: float = 0.0
    """The highest level whose confidence intervals lie on the right side of every bound."""
    surely_missed: float = math.inf
    open: Report | None = None
    """The last report, where its level has to be measured again."""

    @property
    def interval(self) -> tuple[float, float]:
        """Between which levels the saturation lies; infinite where no level surely missed."""
        return self.surely_met, self.surely_missed


def judge(constraints: Sequence[Constraint], report: Report) -> Judgement:
    """Whether a level meets every constraint: surely, surely not, or not to be told from this sample.

    Metrics without an interval are judged by their value, and so is the error rate. A load generator that was not
    fit leaves everything open; one that had to wait for the server shows that this level is too high.
    """
    waited = report.client.capped and report.client.verdict == "saturated"
    if report.client.verdict != "ok" and not waited:
        return "open"
    if report.warnings or waited:
        return "missed"
    judged = {_judge_one(constraint, report) for constraint in constraints}
    return "missed" if "missed" in judged else "open" if "open" in judged else "met"


def _judge_one(constraint: Constraint, report: Report) -> Judgement:
    value = report.metrics.get(constraint.metric)
    if value is None:
        return "missed"
    interval = report.intervals.get(constraint.metric)
    if interval is None or constraint.metric == "error_rate":
        told = interval is not None or asked_percentile(constraint.metric) is None
        return "open" if not told else "met" if constraint.violation(value) <= 0 else "missed"
    sides = {constraint.violation(side) <= 0 for side in interval}
    return "open" if len(sides) == 2 else "met" if True in sides else "missed"


def evaluate(load: Load, constraints: Sequence[Constraint], reports: Sequence[Report]) -> Found:
    """What the reports of a search, in the order in which they were made, tell."""
    found = Found()
    for report in reports:
        judged = judge(constraints, report)
        level, requests = report.load.level, report.load.requests or 0
        if judged == "open" and GROWTH * requests <= most_requests(load):
            found = Found(found.met, found.missed, found.surely_met, found.surely_missed, open=report)
            continue
        # In doubt to the last: the best estimate decides, and the interval stays wide.
        kept = judged == "met" or (judged == "open" and _estimated(constraints, report))
        found = Found(
            met=report if kept else found.met,
            missed=found.missed if kept else report,
            surely_met=level if judged == "met" else found.surely_met,
            surely_missed=level if judged == "missed" else found.surely_missed,
        )
    return found


def _estimated(constraints: Sequence[Constraint], report: Report) -> bool:
    values = [(constraint, report.metrics.get(constraint.metric)) for constraint in constraints]
    fit = report.client.verdict == "ok"
    return fit and all(value is not None and constraint.violation(value) <= 0 for constraint, value in values)


def next_probe(load: Load, constraints: Sequence[Constraint], reports: Sequence[Report]) -> LoadPoint | None:
    """The measurement that comes next, or None when the search is over."""
    search = _search(load)
    found = evaluate(load, constraints, reports)
    if found.open is not None:
        again = found.open.load
        return again.model_copy(update={"requests": round(GROWTH * (again.requests or 0))})
    level = _next_level(search, found)
    return None if level is None else load.searched(level)


def _next_level(search: Saturation, found: Found) -> float | None:
    low = found.met.load.level if found.met else None
    high = found.missed.load.level if found.missed else None
    if low is None:
        return search.low if high is None else None
    if high is None:
        return None if low >= search.high else _rounded(search, min(GROWTH * low, search.high))
    if high <= low * (1 + search.tolerance) or (search.of == "concurrency" and high - low <= 1):
        return None
    middle = _rounded(search, math.sqrt(low * high))
    return middle if low < middle < high else None


def _rounded(search: Saturation, level: float) -> float:
    return float(round(level)) if search.of == "concurrency" else float(f"{level:.{DIGITS}g}")


def most_requests(load: Load) -> int:
    """How many requests a level in doubt may have, at most."""
    return _search(load).max_requests or MORE_REQUESTS * (load.requests or 1)


def most_probes(load: Load) -> int:
    """How many measurements a search makes at most."""
    search = _search(load)
    doublings = math.ceil(math.log(search.high / search.low, GROWTH) - 1e-9) + 1
    ratio = math.log(GROWTH) / math.log1p(search.tolerance)
    halvings = max(0, math.ceil(math.log2(ratio)))
    again = int(math.log(most_requests(load) / (load.requests or 1), GROWTH) + 1e-9)
    return (doublings + halvings) * (1 + again)


def conclude(load: Load, constraints: Sequence[Constraint], reports: Sequence[Report]) -> tuple[Report, str]:
    """The report that a finished search stands for, and what it found, for people.

    It is the last one at the highest level that met the SLO, with that level as the metric ``saturation``; where
    none did, the one at the lowest level, which then misses it. Where the load generator ended the search, the report
    has that one's health: the level is a lower bound.
    """
    found = evaluate(load, constraints, reports)
    report = found.met or found.missed or reports[-1]
    ended = found.missed.client if found.missed is not None else None
    unfit = ended is not None and ended.verdict != "ok" and not ended.capped
    low, high = found.interval
    limit = _search(load).high
    chosen = report.model_copy(
        update={
            "metrics": {**report.metrics, "saturation": report.load.level},
            "intervals": {**report.intervals, "saturation": (low, min(high, limit))},
        }
    )
    if unfit:
        warning = "the load generator, not the server, ended the saturation search"
        chosen = chosen.model_copy(update={"warnings": (*report.warnings, warning), "client": ended})
    if found.met is None and unfit:
        return chosen, f"the load generator was not fit even at {report.load.label}"
    if found.met is None:
        return chosen, f"even {report.load.label} misses the SLO"
    if found.missed is None:
        return chosen, f"{report.load.label}, the highest level of the search, still meets the SLO"
    sure = f"surely met {low:g}" if low else "no level surely met"
    sure += f", surely missed {high:g}" if math.isfinite(high) else ", none surely missed"
    return chosen, f"saturates at {report.load.label} ({sure}; {len(reports)} measurements)"


def _search(load: Load) -> Saturation:
    assert load.saturation is not None  # only such a load is searched
    return load.saturation
