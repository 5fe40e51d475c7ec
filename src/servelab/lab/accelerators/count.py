"""How many accelerators a trial needs."""

from __future__ import annotations

from servelab.catalog.parallelism import parallel_size
from servelab.spec.base import Parameters
from servelab.spec.study import Study


def accelerator_count(study: Study, parameters: Parameters) -> int:
    """Accelerators that one deployment holds: what its parallelism needs, at least ``resources.accelerators``.

    Engines on CPUs hold none.
    """
    declared, needed = study.engine.resources.accelerators, parallel_size(study, parameters)
    return max(declared, needed) if declared or needed > 1 else 0
