"""What a measurement was made with, of and on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from servelab import __version__
from servelab.harnesses.base import Job
from servelab.spec.report import Provenance


def provenance(job: Job, harness: str, version: str, started: datetime, command: Sequence[str] = ()) -> Provenance:
    """Everything needed to repeat a job's measurement, by this version of a harness."""
    deployment = job.deployment
    return Provenance(
        servelab=__version__,
        harness=harness,
        harness_version=version,
        engine=deployment.engine,
        engine_version=deployment.engine_version,
        simulated=deployment.simulated,
        model=deployment.model,
        parameters=job.parameters,
        command=tuple(command),
        seed=job.seed,
        started_at=started.isoformat(timespec="seconds"),
        machine=machine(),
    )


@cache
def machine() -> dict[str, Any]:
    """Processor, cores, memory and software of this machine; nothing that names it."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
