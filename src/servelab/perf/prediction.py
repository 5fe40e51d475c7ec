"""What is predicted of a deployment, as types."""

from __future__ import annotations

from pydantic import Field

from servelab.spec.base import Parameters as Settings
from servelab.spec.base import Spec


class Estimate(Spec):
    """A predicted value in SI units, with the 95 % interval that the coefficients' uncertainty makes of it."""

    value: float
    interval: tuple[float, float] | None = Field(default=None, description="None where nothing is known of it")


class ClosedForm(Spec):
    """Means of the queueing model, in seconds; see docs/prediction.md."""

    ttft: float
    itl: float
    e2e: float
    utilization: float = Field(description="share of the greatest rate")


class Effect(Spec):
    """By which share results change when an input grows by a tenth; None where a result is 0 or unknown."""

    of: str
    ttft_p95: float | None = None
    itl_p95: float | None = None
    e2e_p95: float | None = None
    greatest_rate: float | None = Field(default=None, description="that can be served at all, by the closed form")


class Capacity(Spec):
    """The highest rate of one replica that keeps the SLO, and what the asked rate takes."""

    highest_rate: Estimate = Field(description="requests/s")
    limited_by: str = Field(description="the constraint that the next higher rate misses")
    replicas: int | None = Field(default=None, description="for the asked rate; None where no rate keeps the SLO")
    replicas_between: tuple[int, int] | None = Field(default=None, description="by the interval of the highest rate")
    cost_per_hour: float | None = None
    cost_per_million_tokens: float | None = Field(default=None, description="of output")


class Prediction(Spec):
    """Latency at a load, and what it takes to serve it."""

    rate: float = Field(description="requests/s at one replica")
    model: str = Field(description="the performance model that it rests on")
    prompt_tokens: float
    output_tokens: float
    limits: Settings
    metrics: dict[str, Estimate]
    stable: bool = Field(description="False: requests come faster than they are served, and latencies grow for ever")
    batch: float = Field(description="sequences in a step, on average")
    closed_form: ClosedForm | None = Field(description="None at a rate beyond what it can serve")
    capacity: Capacity | None = Field(default=None, description="with an SLO")
    sensitivity: tuple[Effect, ...] = ()
    warnings: tuple[str, ...] = ()
    requests: int = Field(description="requests simulated")
    seed: int
