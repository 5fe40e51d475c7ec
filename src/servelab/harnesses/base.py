"""What a harness is to servelab."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from servelab.spec.base import Parameters
from servelab.spec.deployment import Deployment
from servelab.spec.goal import RequestSLO
from servelab.spec.load import LoadPoint
from servelab.spec.plugins import load_plugin
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.workload import Workload


@dataclass(frozen=True)
class Progress:
    """How far a measurement is: ``total`` requests or seconds, ``done`` of them."""

    done: float
    total: float
    note: str = ""


@dataclass(frozen=True)
class Job:
    """One measurement to make."""

    deployment: Deployment
    workload: Workload
    load: LoadPoint
    seed: int
    """Of this measurement: other seeds give other prompts and arrivals of the same distribution."""
    directory: Path
    """Where the harness may leave its files; exists and is empty."""
    request_slo: RequestSLO = field(default_factory=RequestSLO)
    parameters: Parameters = field(default_factory=dict)
    max_concurrency: int = 512
    tokenizer: str | None = None
    """Directory or Hugging Face id of the model's tokenizer, for harnesses that need one."""
    server_metrics: Mapping[str, str] = field(default_factory=dict)
    """Our names -> the engine's own names in its /metrics; see Engine.server_metrics."""
    cpus: tuple[int, ...] = ()
    """Cores for the load generator; empty for any."""


class Harness(Protocol):
    """Puts a workload at one load point on an endpoint, and measures."""

    name: ClassVar[str]

    def check(self, study: Study) -> tuple[str, ...]:
        """See that the measurements of ``study`` can be made, before anything is started; returns what is strange.

        Raises:
            MeasureError: one cannot be made (the message says why and what to do).
        """
        ...

    async def measure(self, job: Job, progress: Callable[[Progress], None]) -> Report:
        """Make the measurement; cancellation stops it at once and leaves nothing running.

        Failed requests are counted in the report, by kind, not raised.

        Raises:
            MeasureError: it cannot be made (the message says why and what to do).
        """
        ...


def harness(name: str, options: Mapping[str, Any]) -> Harness:
    """The harness called ``name``, with its options.

    Raises:
        NotFoundError: no plug-in of that name.
        DocumentError: an option is unknown or wrong.
    """
    return cast(Harness, load_plugin("servelab.harnesses", name)(options))
