"""The charts of a study, from its trials without their measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from servelab.report.importance import MIN_TRIALS
from servelab.spec.study import Study
from servelab.store.views import TrialPoint
from servelab.web.charts import Palette
from servelab.web.drawing import Drawing, sorted_out
from servelab.web.parameter_charts import importance_chart, parallel_chart
from servelab.web.search_charts import progress_chart, trade_chart


@dataclass(frozen=True)
class Drawings:
    """What can be drawn of a study; None where there is nothing yet to draw."""

    progress: Drawing | None
    trade: Drawing | None
    parallel: Drawing | None
    importance: Drawing | None


def draw(study: Study, points: Sequence[TrialPoint], colours: Palette) -> Drawings:
    """Draw a study that has an objective."""
    kinds = sorted_out(points)
    return Drawings(
        progress_chart(study, kinds, colours),
        trade_chart(study, kinds, colours),
        parallel_chart(study, kinds, colours),
        importance_chart(study, kinds, colours),
    )


WAITING = {
    "progress": "The objective of each trial appears here when the first one has ended.",
    "trade": "What is traded for what appears here when two trials have been measured.",
    "parallel": "Configurations and what they measured appear here when two trials have been measured.",
    "importance": f"Which parameters matter can be told from {MIN_TRIALS} measured trials on.",
}
"""What is said in place of a chart that cannot be drawn yet."""
