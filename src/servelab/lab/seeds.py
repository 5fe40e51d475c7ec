"""Seeds of measurements: the same prompts for every configuration, never twice for one engine."""

from __future__ import annotations

import zlib

from servelab.spec.study import Study
from servelab.spec.trial import Phase, Trial


def measurement_seed(study: Study, trial: Trial, phase: Phase, point: int, repeat: int, server: str) -> int:
    """The seed of one measurement.

    Configurations are compared under the same prompts and arrivals (common random numbers), which takes the
    workload's chance out of the comparison. An engine that is not started afresh keeps a prefix cache, so there
    what tells this attempt from all others (``server``; empty for a fresh engine) enters too, lest a prompt come back.
    """
    parts: list[str | int | None] = [study.workload.seed, phase, point, repeat, trial.round]
    if server:
        parts.append(server)
    return zlib.crc32("/".join(map(str, parts)).encode())
