"""The charts of a study, from its trials without their measurements."""

from __future__ import annotations

from collections.abc import Sequence

from servelab.report.importance import MIN_TRIALS
from servelab.spec.study import Study
from servelab.store.views import TrialPoint
from servelab.web.charts import Palette
from servelab.web.drawing import Drawing, sorted_out
from servelab.web.parameter_charts import importance_chart, parallel_chart
from servelab.web.search_charts import progress_chart, trade_chart


def draw(study: Study, points: Sequence[TrialPoint], colours: Palette) -> dict[str, Drawing]:
    """Draw a study that has an objective; what cannot be drawn yet is left out."""
    kinds = sorted_out(points)
    found = {
        "progress": progress_chart(study, kinds, colours),
        "trade": trade_chart(study, kinds, colours),
        "parallel": parallel_chart(study, kinds, colours),
        "importance": importance_chart(study, kinds, colours),
    }
    return {name: drawing for name, drawing in found.items() if drawing is not None}


WAITING = {
    "progress": "The objective of each trial appears here when the first one has ended.",
    "trade": "What is traded for what appears here when two trials have been measured.",
    "parallel": "Configurations and what they measured appear here when two trials have been measured.",
    "importance": f"Which parameters matter can be told from {MIN_TRIALS} measured trials on.",
}
"""What is said in place of a chart that cannot be drawn yet."""
