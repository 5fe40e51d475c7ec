"""The results as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median

import numpy as np

from benchmarks.search.protocol import CHECKPOINTS, Entry, Outcome


def table(entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> str:
    """A row per entry: median regret [quartiles] after so many trials, and what it cost."""
    reached = [f"after {count}" for count in CHECKPOINTS]
    head = ["sampler", *reached, "never feasible", "crashes", "of a known cause", "ms"]
    rows = [_row(entry, [o for o in outcomes if o.task.entry == entry]) for entry in entries]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def _row(entry: Entry, outcomes: Sequence[Outcome]) -> list[str]:
    regrets = [_quartiles([o.regrets[count] for o in outcomes if count in o.regrets]) for count in CHECKPOINTS]
    return [
        str(entry),
        *regrets,
        f"{mean(not o.picked for o in outcomes):.0%}",
        f"{mean(o.crashes for o in outcomes):.1f} ({mean(o.crashes / o.task.trials for o in outcomes):.0%})",
        f"{mean(o.repeats for o in outcomes):.1f}",
        f"{median(o.suggestion_ms for o in outcomes):.0f}",
    ]


def _quartiles(values: Sequence[float]) -> str:
    if not values:
        return "-"
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.3f} [{low:.2f}, {high:.2f}]"
