"""What is wanted: objectives to optimise, and constraints (SLOs) to keep."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
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


class Penalty(Spec):
    """What missing one SLO costs."""

    metric: MetricName
    threshold: float = Field(gt=0, description="seconds for latencies")
    weight: float = Field(default=1.0, ge=0)


class Score(Spec):
    """The score of the inference autotuner: ``base x (1 + sum of w exp((x - t) / t / steepness))`` over missed SLOs.

    Lower is better. A ``base`` that is to be maximized enters with a minus, and a penalty of its size is added, as
    there. Formula: novitalabs/inference-autotuner, docs/SLO_SCORING.md and src/utils/optimizer.py.
    """

    base: MetricName
    penalties: tuple[Penalty, ...] = ()
    steepness: float = Field(default=0.1, gt=0, description="smaller is steeper")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it is made of."""
        return (self.base, *(penalty.metric for penalty in self.penalties))

    def of(self, values: Mapping[str, float]) -> float | None:
        """The score of these metrics, each its mean over the load levels; None when one was not measured."""
        if any(name not in values for name in self.metrics):
            return None
        base = values[self.base] if metric(self.base).direction == "minimize" else -values[self.base]
        return base + abs(base) * sum(self._penalty(penalty, values[penalty.metric]) for penalty in self.penalties)

    def _penalty(self, penalty: Penalty, value: float) -> float:
        over = (value - penalty.threshold) / penalty.threshold
        return penalty.weight * math.exp(min(over / self.steepness, LARGEST_EXPONENT)) if over > 0 else 0.0


SCORE = "slo_score"
LARGEST_EXPONENT = 700.0  # beyond which a float overflows


class Objective(Spec):
    """A metric to minimise or maximise: its mean over the load levels, or its value ``at`` one."""

    metric: MetricName
    direction: Direction
    at: Level = None
    score: Score | None = Field(default=None, description="of the metric slo_score: what it is made of")

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

    @model_validator(mode="after")
    def _score_belongs(self) -> Self:
        if (self.score is None) == (self.metric == SCORE):
            raise ValueError(f"the metric {SCORE} needs a `score` that says what it is made of, and no other has one")
        return self

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
