"""No load at all: deploys and looks, measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from servelab import __version__
from servelab.harnesses.base import Job, Progress
from servelab.harnesses.provenance import provenance
from servelab.spec.base import Spec
from servelab.spec.errors import MeasureError
from servelab.spec.options import read_options
from servelab.spec.report import ClientHealth, Report
from servelab.spec.study import Study


class NopOptions(Spec):
    """The nop harness has no options."""


class Nop:
    """Finds out whether configurations start, without measuring them."""

    name: ClassVar[str] = "nop"

    def __init__(self, options: Mapping[str, Any]) -> None:
        read_options(NopOptions, options, self.name)

    def check(self, study: Study) -> tuple[str, ...]:
        """Refuse goals: nothing would ever be known of them."""
        if study.goals:
            raise MeasureError(
                f"nop measures nothing, so that '{study.goals[0]}' would never be known",
                "Leave objectives and constraints out, or use another harness.",
            )
        return ()

    async def measure(self, job: Job, progress: Callable[[Progress], None]) -> Report:
        """Report that the engine is up, and nothing else."""
        progress(Progress(done=1.0, total=1.0))
        return Report(
            load=job.load,
            metrics={},
            requests=0,
            duration=0.0,
            client=ClientHealth(verdict="ok"),
            provenance=provenance(job, self.name, __version__, datetime.now(UTC)),
        )
