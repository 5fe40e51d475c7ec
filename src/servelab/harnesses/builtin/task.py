"""What goes to the load generator's process, and what comes back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from servelab.spec.base import Seconds, Spec
from servelab.spec.goal import RequestSLO
from servelab.spec.report import ClientHealth
from servelab.spec.workload import LoadPoint, Workload

API_KEY = "SERVELAB_API_KEY"
"""Environment variable with the key of the endpoint, if it wants one."""


class BuiltinOptions(Spec):
    """Options of the builtin harness."""

    request_timeout: Annotated[Seconds, Field(gt=0)] = 600.0


class Task(Spec):
    """One measurement, as the process is told."""

    url: str
    metrics_url: str | None
    model: str
    workload: Workload
    load: LoadPoint
    seed: int
    request_slo: RequestSLO
    max_concurrency: int
    server_metrics: dict[str, str]
    cpus: tuple[int, ...]
    request_timeout: float
    records: str
    parent: int = Field(description="process id of the servelab that listens")


class Result(Spec):
    """What the process measured; ``failure`` says why it could not."""

    metrics: dict[str, float] = Field(default_factory=dict)
    requests: int = 0
    duration: float = 0.0
    errors: dict[str, int] = Field(default_factory=dict)
    quantiles: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    steady_from: float | None = None
    server: dict[str, float] = Field(default_factory=dict)
    client: ClientHealth = ClientHealth()
    warnings: tuple[str, ...] = ()
    exact_prompts: bool = True
    tokens_per_chunk: float = 1.0
    prompt_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    failure: str | None = None


class Line(Spec):
    """A line of the process's output."""

    kind: Literal["progress", "result"]
    share: float = 0.0
    result: Result | None = None
