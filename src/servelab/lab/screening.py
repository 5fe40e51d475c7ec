"""Short measurements first: which configurations are worth a full one."""

from __future__ import annotations

from collections.abc import Sequence

from servelab.spec.assess import assess_reports
from servelab.spec.load import LoadPoint
from servelab.spec.report import Report
from servelab.spec.study import Study

MIN_REQUESTS = 8  # fewer say nothing of a percentile; and in a closed loop, every stream needs two
MIN_SECONDS = 3.0

HOPELESS_VIOLATION = 0.5  # an SLO missed by half of its bound is no accident of a short measurement
HOPELESS_LOSS = 0.3  # nor is an objective this far behind the best known


def shortened(load: LoadPoint, share: float) -> LoadPoint | None:
    """The same load held for ``share`` of its length; None where that would be too short to judge by."""
    if share <= 0:
        return None
    fewest = max(MIN_REQUESTS, 2 * load.level if load.kind == "concurrency" else 0)
    requests = round(load.requests * share) if load.requests is not None else None
    seconds = load.seconds * share if load.seconds is not None else None
    if (requests is not None and requests < fewest) or (seconds is not None and seconds < MIN_SECONDS):
        return None
    return load.model_copy(update={"requests": requests, "seconds": seconds})


def hopeless(study: Study, reports: Sequence[Report], best: float | None) -> str | None:
    """Why a configuration screened with ``reports`` is not worth a full measurement, or None.

    Nothing is hopeless that the load generator, and not the server, was too slow for.
    ``best`` is the objective of the best feasible trial so far. With several objectives a configuration that
    loses in one may win in another, so only the constraints count.
    """
    if any(report.client_bound for report in reports):
        return None
    found = assess_reports(study, reports)
    for constraint, violation in zip(study.constraints, found.violations, strict=True):
        if violation is not None and violation > HOPELESS_VIOLATION:
            return f"{constraint} is missed by {violation:.0%}"
    if not best or len(study.objectives) != 1 or found.values[0] is None:
        return None
    objective, value = study.objectives[0], found.values[0]
    loss = (best - value) / abs(best) if objective.direction == "maximize" else (value - best) / abs(best)
    return f"{objective.metric} is {loss:.0%} behind the best" if loss > HOPELESS_LOSS else None
