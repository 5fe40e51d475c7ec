"""What a measurement says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from servelab.spec.base import Parameters, Spec
from servelab.spec.load import LoadPoint


class ClientHealth(Spec):
    """Whether the load generator itself was fit to measure; only ``ok`` may found a recommendation."""

    verdict: Literal["ok", "saturated", "unknown"] = "unknown"
    reasons: tuple[str, ...] = ()
    capped: bool = Field(
        default=False,
        description="requests had to wait, as load.max_concurrency were in flight: the server's doing",
    )
    cpu: float | None = Field(default=None, description="share of one core the client used")
    loop_lag_p99: float | None = Field(default=None, description="seconds")
    schedule_delay_p99: float | None = Field(default=None, description="seconds, open loop only")
    asked_rate: float | None = Field(default=None, description="requests/s that were due, open loop only")
    achieved_rate: float | None = Field(default=None, description="requests/s that were sent, open loop only")


class Provenance(Spec):
    """Everything needed to repeat the measurement."""

    servelab: str
    harness: str
    harness_version: str
    engine: str
    engine_version: str | None = None
    simulated: bool = False
    model: str
    parameters: Parameters = Field(default_factory=dict)
    command: tuple[str, ...] = ()
    seed: int
    started_at: str = Field(description="ISO 8601, UTC")
    machine: dict[str, Any] = Field(default_factory=dict)


class AcceleratorUse(Spec):
    """What an accelerator did during a measurement, from samples a second apart."""

    id: str
    name: str
    samples: int
    memory: int = Field(description="bytes it has")
    memory_used_max: int = Field(description="bytes in use at most, by whomever")
    utilization: float | None = Field(default=None, description="mean share of the time in which a kernel ran")
    power: float | None = Field(default=None, description="mean, W")
    temperature_max: float | None = Field(default=None, description="C")


class Report(Spec):
    """One measurement at one load point.

    ``metrics`` maps the names of spec/metrics.py to SI values (seconds, tokens/s, requests/s).
    ``quantiles`` maps ttft, itl, tpot and e2e to their 0, 1, ..., 100 % quantiles in seconds.
    ``intervals`` maps metrics to their 95 % confidence intervals, as far as the sample is large enough for one.
    ``standard`` is the llm-d Benchmark Report v0.2 of the same measurement.
    """

    load: LoadPoint
    metrics: dict[str, float]
    requests: int = Field(ge=0, description="requests counted, failed ones included")
    duration: float = Field(ge=0, description="seconds")
    errors: dict[str, int] = Field(default_factory=dict, description="kind of error -> requests")
    quantiles: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    steady_from: float | None = Field(
        default=None, description="seconds after which TTFT no longer drifted; None if never, or not known"
    )
    server: dict[str, float] = Field(default_factory=dict, description="means of the engine's own metrics")
    accelerators: tuple[AcceleratorUse, ...] = Field(default=(), description="those that the engine held")
    client: ClientHealth = ClientHealth()
    warnings: tuple[str, ...] = ()
    provenance: Provenance
    records: str | None = Field(default=None, description="file with a record per request, JSONL in gzip")
    standard: dict[str, Any] = Field(default_factory=dict)

    @property
    def client_bound(self) -> bool:
        """Whether the load generator, and not the server, set these numbers: they say nothing of the configuration."""
        return self.client.verdict == "saturated" and not self.client.capped

    @property
    def trusted(self) -> bool:
        """Whether the numbers may found a recommendation: the client was fit and nothing was warned of."""
        return self.client.verdict == "ok" and not self.warnings
