"""What goes to a process of the load generator, and what comes back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from servelab.harnesses.builtin.part import Part
from servelab.harnesses.builtin.shares import Share
from servelab.spec.base import Seconds, Spec
from servelab.spec.goal import RequestSLO
from servelab.spec.workload import Workload

API_KEY = "SERVELAB_API_KEY"
"""Environment variable with the key of the endpoint, if it wants one."""

MOST_PROCESSES = 64


class BuiltinOptions(Spec):
    """Options of the builtin harness."""

    request_timeout: Annotated[Seconds, Field(gt=0)] = 600.0
    processes: int = Field(default=1, ge=1, le=MOST_PROCESSES, description="that share the load, a core each")


class Task(Spec):
    """One process's share of a measurement, as it is told."""

    url: str
    metrics_url: str | None
    model: str
    workload: Workload
    share: Share
    seed: int
    request_slo: RequestSLO
    server_metrics: dict[str, str]
    cpus: tuple[int, ...]
    request_timeout: float
    records: str
    parent: int = Field(description="process id of the servelab that listens")


class Line(Spec):
    """A line of a process's output."""

    share: float = Field(default=0.0, description="of the measurement that is done")
    ready: bool = Field(default=False, description="it waits for the moment from which requests count")
    failure: str | None = Field(default=None, description="why it could not measure")
    part: Part | None = Field(default=None, description="what it measured")
