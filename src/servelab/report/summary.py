"""What a study says, for the terminal and for programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from servelab.report.digest import Digest, digest
from servelab.report.next_steps import next_steps
from servelab.report.recommend import recommend_from
from servelab.report.rows import TrialRow, comparisons, trial_rows
from servelab.report.words import count, duration, listed, load_text, one_line, parameters_text, workload_text
from servelab.spec.assess import goal_key, objective_value
from servelab.spec.errors import ServelabError
from servelab.spec.trial import StudyRecord, Trial

_STYLES = {
    "winner": "bold green",
    "baseline_infeasible_winner": "bold green",
    "best": "bold green",
    "no_gain": "bold",
    "no_goal": "bold",
}
SHOWN_TRIALS = 8


def summary_data(record: StudyRecord, trials: Sequence[Trial]) -> dict[str, Any]:
    """The verdict, the recommendation and what was done, as plain data for JSON."""
    found = digest(record, trials)
    try:
        advice = recommend_from(found).model_dump(mode="json")
    except ServelabError:
        advice = None
    return {
        "study": record.id,
        "name": record.study.name,
        "state": record.state,
        "message": record.message,
        "simulated": found.simulated,
        "verdict": found.verdict.model_dump(mode="json"),
        "recommendation": advice,
        "next_steps": next_steps(found),
        "trials": found.counts(),
        "seconds": round(found.seconds, 3),
        "failures": [group.model_dump(mode="json") for group in found.failures],
    }


def print_summary(record: StudyRecord, trials: Sequence[Trial], console: Console) -> None:
    """Print what a study says: the answer first, then the evidence, then what went wrong."""
    for part in renderables(digest(record, trials)):
        console.print(part)


def renderables(found: Digest) -> Iterator[RenderableType]:
    """The parts of the summary, in order."""
    if found.simulated:
        yield Text("SIMULATED ENGINE: these numbers describe no real machine.", style="bold yellow")
    yield Text()
    yield Text(found.verdict.sentence, style=_STYLES.get(found.verdict.kind, "bold yellow"))
    for caution in found.verdict.cautions:
        yield Text(f"  Note: {caution}", style="yellow")
    yield from _comparison(found)
    yield from _command(found)
    yield from _best_trials(found)
    yield from _failures(found)
    yield Text()
    yield Text(_spent(found), style="dim")


def _comparison(found: Digest) -> Iterator[RenderableType]:
    rows = comparisons(found)
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("default", f"trial {found.verdict.trial}", "change", "SLO"):
        table.add_column(heading, justify="right")
    for row in rows:
        old, new = (
            f"[red]{text}[/]" if broken else text
            for text, broken in ((row.default, row.default_breaks), (row.chosen, row.chosen_breaks))
        )
        table.add_row(row.metric, old, new, row.change, row.bound)
    yield Text()
    yield Padding(table, (0, 0, 0, 2))


def _command(found: Digest) -> Iterator[RenderableType]:
    try:
        advice = recommend_from(found)
    except ServelabError:
        return
    yield Text()
    yield Text("How to serve" if not advice.warning else f"How to serve ({advice.warning})", style="bold")
    yield Text(f"  {advice.command_line}" if advice.command else f"  {parameters_text(advice.parameters)}")


def _best_trials(found: Digest) -> Iterator[RenderableType]:
    rows = sorted((row for row in trial_rows(found) if row.trial.kind != "verification"), key=_by_merit(found))
    if len(rows) < 2:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("trial", "outcome"):
        table.add_column(heading)
    for goal in found.goals:
        table.add_column(goal_key(goal), justify="right")
    table.add_column("parameters", overflow="fold")
    for row in rows[:SHOWN_TRIALS]:
        name = f"{row.trial.number} {row.title}".strip()
        table.add_row(name, _coloured(row.outcome), *row.values, escape(parameters_text(row.trial.parameters)))
    yield Text()
    yield Text("The search, best first" if found.goals else "What ran", style="bold")
    yield Padding(table, (0, 0, 0, 2))
    if len(rows) > SHOWN_TRIALS:
        yield Text(f"  and {len(rows) - SHOWN_TRIALS} more; all of them are in the report", style="dim")


def _by_merit(found: Digest) -> Callable[[TrialRow], tuple[bool, bool, float, int]]:
    """Sorts the default first, then what keeps the SLO, each by the first objective."""
    objective = next(iter(found.study.objectives), None)
    sign = -1.0 if objective is not None and objective.direction == "maximize" else 1.0

    def key(row: TrialRow) -> tuple[bool, bool, float, int]:
        value = objective_value(objective, row.trial.reports) if objective is not None else None
        merit = sign * value if value is not None else math.inf
        return (row.trial.kind != "baseline", not row.outcome.startswith("ok"), merit, row.trial.number)

    return key


def _coloured(outcome: str) -> str:
    colour = {"ok": "green", "failed": "red", "breaks SLO": "yellow"}.get(outcome)
    return f"[{colour}]{outcome}[/]" if colour else outcome


def _failures(found: Digest) -> Iterator[RenderableType]:
    if not found.failures:
        return
    yield Text()
    yield Text("What failed", style="bold")
    for group in found.failures:
        numbers = listed([str(number) for number in group.trials])
        yield Text.assemble(("  " + group.kind.replace("_", " "), "red"), f" in trial {numbers}: {group.message}")
        if group.remedy:
            yield Text(f"    {group.remedy}", style="dim")


def _spent(found: Digest) -> str:
    counts = found.counts()
    parts = [count(counts["complete"], "trial") + " measured"]
    parts += [f"{counts[state]} {word}" for state, word in _ENDED if counts[state]]
    return (
        f"{', '.join(parts)}; {duration(found.seconds)} of work. "
        f"Load: {load_text(found.study)}. Workload: {one_line(workload_text(found.study.workload))}."
    )


_ENDED = (
    ("stopped", "stopped early"),
    ("failed", "failed"),
    ("verification", "measured again"),
    ("unfinished", "unfinished"),
)
