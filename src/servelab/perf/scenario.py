"""What a study, or a workload alone, says of a simulation."""

from __future__ import annotations

from dataclasses import dataclass, field

from servelab.catalog.study import load_study, load_workload
from servelab.perf.arguments import batching
from servelab.perf.deployment import Batching
from servelab.spec.document import parse_document
from servelab.spec.goal import Constraint, RequestSLO
from servelab.spec.load import Load
from servelab.spec.workload import Workload


@dataclass(frozen=True)
class Scenario:
    """Requests, and as far as they are known their load, the engine's limits, and the SLO."""

    workload: Workload
    load: Load | None = None
    batching: Batching | None = None
    request_slo: RequestSLO = field(default_factory=RequestSLO)
    constraints: tuple[Constraint, ...] = ()


def read_scenario(text: str, source: str) -> Scenario:
    """Read a study's scenario, or a workload's: what has an engine or a model is a study.

    Raises:
        DocumentError: it is neither.
    """
    if not {"engine", "model"} & set(parse_document(text, source).data):
        return Scenario(load_workload(text, source))
    study = load_study(text, source)
    return Scenario(
        study.workload,
        study.load,
        batching(study.engine.name, {**study.engine.arguments, **study.baseline}),
        study.request_slo,
        study.constraints,
    )
