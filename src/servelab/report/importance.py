"""How much of the objective's variance each parameter explains, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servelab.report.digest import Digest
from servelab.report.figure import CHOSEN, INK, Plot, draw
from servelab.report.rows import goal_value
from servelab.spec.base import Parameters, Value
from servelab.spec.trial import Trial

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

MIN_TRIALS = 8
_RESAMPLES = 1000
_MOST_GROUPS = 4
_SEED = 7


@dataclass(frozen=True)
class Importance:
    """Share of the variance explained by one parameter, with a 90 % bootstrap interval."""

    parameter: str
    share: float
    low: float
    high: float


def importances(found: Digest) -> list[Importance]:
    """Each parameter's main effect as epsilon squared, the largest first; empty below MIN_TRIALS trials.

    Trials are grouped by the parameter's value, numbers with many values in thirds of the trials. Epsilon squared
    is (SSB - (k - 1) MSW) / SST: eta squared without the share that chance alone would explain, which matters with
    few trials. Interactions are not seen, and a sampler does not try values evenly.

    Source: Kelley, PNAS 21, 1935; Okada, Behaviormetrika 40, 2013.
    """
    if not found.study.objectives:
        return []
    pairs = [(t.parameters, goal_value(found.study.objectives[0], t.reports)) for t in _tried(found)]
    return explained([(parameters, value) for parameters, value in pairs if value is not None], found.study.changed)


def explained(known: Sequence[tuple[Parameters, float]], names: Sequence[str]) -> list[Importance]:
    """``importances`` of parameters and the objective's values that were measured with them."""
    import numpy as np

    if len(known) < MIN_TRIALS:
        return []
    y = np.array([value for _, value in known])
    if np.ptp(y) == 0:
        return []
    weights = np.random.default_rng(_SEED).multinomial(len(y), np.full(len(y), 1 / len(y)), _RESAMPLES)
    result = []
    for name in names:
        groups = _groups([parameters.get(name) for parameters, _ in known])
        if groups.shape[1] < 2 or len(y) <= groups.shape[1] + 1:
            continue
        share = float(_epsilon_squared(groups, y, np.ones((1, len(y))))[0])
        low, high = np.quantile(_epsilon_squared(groups, y, weights), (0.05, 0.95))
        result.append(Importance(name, share, min(float(low), share), max(float(high), share)))
    return sorted(result, key=lambda importance: -importance.share)


def _tried(found: Digest) -> list[Trial]:
    """The measured trials of the search; the default leaves parameters to the engine, so it has no value to go by.

    What a slow load generator measured is the same for all fast configurations, and would hide what matters.
    """
    searched = (trial for trial in found.trials if trial.kind == "search" and trial.state == "complete")
    return [trial for trial in searched if not trial.client_bound]


def _groups(values: Sequence[Value | None]) -> NDArray[np.float64]:
    """Membership of each trial (row) in each group of like values (column), as zeros and ones."""
    import numpy as np

    labels = [str(value) for value in values]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(set(labels)) > _MOST_GROUPS and len(numbers) > _MOST_GROUPS:
        cuts = np.quantile(numbers, (1 / 3, 2 / 3))
        labels = [
            f"third {np.searchsorted(cuts, value)}" if isinstance(value, int | float) else label
            for value, label in zip(values, labels, strict=True)
        ]
    kinds = list(dict.fromkeys(labels))
    return np.array([[label == kind for kind in kinds] for label in labels], dtype=np.float64)


def _epsilon_squared(
    groups: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64] | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Epsilon squared for each row of trial weights, in [0, 1]; 0 where a resample has no variance."""
    import numpy as np

    sizes, sums = weights @ groups, weights @ (groups * y[:, None])
    total = weights.sum(axis=1)
    mean = weights @ y / total
    between = np.where(sizes > 0, sizes * (sums / np.maximum(sizes, 1) - mean[:, None]) ** 2, 0).sum(axis=1)
    whole = weights @ y**2 - total * mean**2
    used = (sizes > 0).sum(axis=1)
    within = (whole - between) / np.maximum(total - used, 1)
    share = (between - (used - 1) * within) / np.where(whole > 0, whole, 1)
    return np.asarray(np.clip(np.where(whole > 0, share, 0), 0, 1), dtype=np.float64)


def importance_plot(found: Digest) -> Plot | None:
    """Bars of the importances with their intervals."""
    bars = importances(found)
    if not bars:
        return None

    def paint(axes: Axes) -> None:
        places = range(len(bars))
        axes.barh(places, [bar.share * 100 for bar in bars], color=CHOSEN, height=0.5, alpha=0.75)
        for place, bar in zip(places, bars, strict=True):
            axes.plot([bar.low * 100, bar.high * 100], [place, place], color=INK, lw=1.3)
        axes.set_yticks(places, [bar.parameter for bar in bars], color=INK)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"variance of {found.study.objectives[0].metric} explained (%)")

    title = "Which parameters mattered"
    note = (
        f"Main effects over {len(_tried(found))} measured trials (epsilon squared; thin lines: 90 % bootstrap "
        "intervals). A hint, not a proof: interactions are not seen, and the sampler does not try all values evenly."
    )
    return Plot("importance", title, note, draw("importance", title, 1.1 + 0.4 * len(bars), paint))
