"""All plots of a study that its data can bear, in reading order."""

from __future__ import annotations

from servelab.report.digest import Digest
from servelab.report.evidence import gains, latencies, load_curve
from servelab.report.figure import Plot
from servelab.report.importance import importance_plot
from servelab.report.progress import best_so_far, trade_off


def all_plots(found: Digest) -> list[Plot]:
    """The plots of a study with an objective; a study without one has none."""
    if not found.study.objectives or not found.reports:
        return []
    drawn = [gains(found), best_so_far(found), trade_off(found), load_curve(found), *latencies(found)]
    return [plot for plot in (*drawn, importance_plot(found)) if plot is not None]
