"""What is wanted: objectives to optimise, and constraints (SLOs) to keep."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from servelab.spec.base import Seconds, Spec, parse_seconds
from servelab.spec.metrics import Direction, format_metric, metric


def _known_metric(name: str) -> str:
    metric(name)
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]
Level = Annotated[float | None, Field(gt=0, description="load level it is read at; default: see the type")]

_OBJECTIVE = re.compile(r"(minimi[sz]e|maximi[sz]e)\s+(\w+)(?:\s+at\s+([\d.]+))?")
_CONSTRAINT = re.compile(r"(\w+)\s*(<=|<|>=|>)\s*([\d.]+\s*[a-z%]*)(?:\s+at\s+([\d.]+))?")


class Objective(Spec):
    """A metric to minimise or maximise: its mean over the load levels, or its value ``at`` one."""

    metric: MetricName
    direction: Direction
    at: Level = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            parts = _OBJECTIVE.fullmatch(raw.strip())
            if parts is None:
                raise ValueError(f"{raw!r} is not an objective; write for example 'maximize output_throughput'")
            raw = {"metric": parts[2], "direction": parts[1].replace("ise", "ize"), "at": parts[3]}
        if isinstance(raw, dict) and "direction" not in raw and isinstance(raw.get("metric"), str):
            raw = {**raw, "direction": metric(raw["metric"]).direction}
        return raw

    def better(self, a: float, b: float) -> bool:
        """Whether value ``a`` is strictly better than ``b``."""
        return a > b if self.direction == "maximize" else a < b

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}" + (f" at {self.at:g}" if self.at is not None else "")


def _bound(raw: Any) -> Any:
    if isinstance(raw, str) and raw.strip().endswith("%"):
        return float(raw.strip()[:-1]) / 100
    return parse_seconds(raw)


Bound = Annotated[float | None, BeforeValidator(_bound)]


class Constraint(Spec):
    """A metric with a bound (an SLO): must hold at every load level, or ``at`` one."""

    metric: MetricName
    max: Bound = None
    min: Bound = None
    at: Level = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        if not isinstance(raw, str):
            return raw
        parts = _CONSTRAINT.fullmatch(raw.strip())
        if parts is None:
            raise ValueError(f"{raw!r} is not a constraint; write for example 'ttft_p95 <= 500ms'")
        side = "max" if parts[2].startswith("<") else "min"
        return {"metric": parts[1], side: parts[3], "at": parts[4]}

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.max is None) == (self.min is None):
            raise ValueError(f"give exactly one of max and min for {self.metric}")
        if self.bound <= 0:
            raise ValueError(f"the bound of {self.metric} must be above 0")
        return self

    @property
    def bound(self) -> float:
        """The bound, in seconds for latencies."""
        bound = self.max if self.max is not None else self.min
        assert bound is not None  # one of the two is set, see _one_bound
        return bound

    def violation(self, value: float) -> float:
        """By which share of the bound ``value`` misses it; zero or negative when it is met."""
        distance = value - self.bound if self.max is not None else self.bound - value
        return distance / self.bound

    def __str__(self) -> str:
        sign = "<=" if self.max is not None else ">="
        return f"{self.metric} {sign} {format_metric(self.metric, self.bound)}" + (
            f" at {self.at:g}" if self.at is not None else ""
        )


class RequestSLO(Spec):
    """What one request must keep, all of it, to count towards goodput; in seconds."""

    ttft: Annotated[Seconds | None, Field(gt=0)] = None
    tpot: Annotated[Seconds | None, Field(gt=0)] = None
    e2e: Annotated[Seconds | None, Field(gt=0)] = None

    @property
    def asked(self) -> tuple[str, ...]:
        """The latencies that have a bound."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    def kept(self, ttft: float, tpot: float | None, e2e: float) -> dict[str, bool]:
        """For each latency asked for: whether a request with these (seconds) kept it; one token has no TPOT to miss."""
        within = {
            "ttft": self.ttft is None or ttft <= self.ttft,
            "tpot": self.tpot is None or tpot is None or tpot <= self.tpot,
            "e2e": self.e2e is None or e2e <= self.e2e,
        }
        return {name: within[name] for name in self.asked}
