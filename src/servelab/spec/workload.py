"""What clients ask for (the workload) and how much of it at once (the load)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from servelab.spec.base import Seconds, Spec


class Tokens(Spec):
    """A length distribution in tokens: normal with ``mean`` and ``stdev``, clipped to [min, max]."""

    mean: float = Field(gt=0)
    stdev: float = Field(default=0, ge=0)
    min: PositiveInt = 1
    max: PositiveInt | None = Field(default=None, description="default: twice the mean")

    @property
    def upper(self) -> int:
        """The longest length that can occur, in tokens."""
        return self.max if self.max is not None else max(self.min, round(2 * self.mean))

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.upper:
            raise ValueError(f"min {self.min} is above max {self.upper}")
        return self


def _tokens(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"mean": value, "min": max(1, round(value)), "max": max(1, round(value))}
    return value


TokenCount = Annotated[Tokens, BeforeValidator(_tokens)]
"""A distribution, or a plain number for a fixed length."""


class SharedPrefix(Spec):
    """Leading tokens that requests share, so that a prefix cache can serve them."""

    tokens: NonNegativeInt
    groups: PositiveInt = Field(default=1, description="number of different prefixes")


class Workload(Spec):
    """The requests: lengths, shared prefix, API and seed. Prompts are unique beyond the prefix."""

    name: str = "custom"
    prompt: TokenCount
    output: TokenCount
    prefix: SharedPrefix | None = None
    api: Literal["chat", "completions"] = "completions"
    turns: PositiveInt = 1
    dataset: str | None = Field(default=None, description="path of a JSONL data set, for harnesses that take one")
    seed: int = 42

    @property
    def longest(self) -> int:
        """The longest request in tokens: prefix, prompt and output."""
        return (self.prefix.tokens if self.prefix else 0) + self.prompt.upper + self.output.upper


class LoadPoint(Spec):
    """One level of load, held until ``requests`` are done or ``seconds`` have passed."""

    kind: Literal["concurrency", "constant", "poisson", "throughput"]
    level: float = Field(gt=0, description="streams in flight, or requests per second")
    requests: PositiveInt | None = None
    seconds: Seconds | None = Field(default=None, gt=0)
    warmup: NonNegativeInt = Field(
        default=0, description="requests that are not counted, sent first; at a concurrency at least one per stream"
    )

    @property
    def label(self) -> str:
        """How people name this point, as ``concurrency 8`` or ``4 req/s (poisson)``."""
        if self.kind in ("concurrency", "throughput"):
            return f"{'concurrency' if self.kind == 'concurrency' else 'at most'} {self.level:g}"
        return f"{self.level:g} req/s ({self.kind})"


def _levels(value: Any) -> Any:
    return (value,) if isinstance(value, int | float) else value


Levels = Annotated[tuple[PositiveFloat, ...], BeforeValidator(_levels)]


class Load(Spec):
    """The load levels of each deployment: concurrency levels, request rates, or a sweep between extremes.

    Each level runs until ``requests`` are done or ``seconds`` have passed, whichever is first.
    """

    concurrency: Levels = Field(default=(), description="closed loop: streams in flight")
    rate: Levels = Field(default=(), description="open loop: requests per second")
    arrival: Literal["poisson", "constant"] = "poisson"
    sweep: Annotated[int, Field(ge=3, le=50)] | None = Field(
        default=None, description="number of levels: one stream, as fast as possible, and rates between"
    )
    max_concurrency: PositiveInt = Field(default=512, description="most streams in flight at open loop")
    requests: PositiveInt | None = None
    seconds: Seconds | None = Field(default=None, gt=0)
    warmup: NonNegativeInt = 2

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(bool(kind) for kind in (self.concurrency, self.rate, self.sweep)) != 1:
            raise ValueError("give exactly one of concurrency, rate and sweep")
        if self.requests is None and self.seconds is None:
            raise ValueError("say how long a level lasts: requests (a count) or seconds")
        if any(level != int(level) for level in self.concurrency):
            raise ValueError("concurrency levels are whole numbers")
        return self

    def _point(self, kind: Literal["concurrency", "constant", "poisson", "throughput"], level: float) -> LoadPoint:
        return LoadPoint(kind=kind, level=level, requests=self.requests, seconds=self.seconds, warmup=self.warmup)

    @property
    def points(self) -> tuple[LoadPoint, ...]:
        """The levels known beforehand, in order; a sweep knows its two extremes."""
        if self.sweep:
            return (self._point("concurrency", 1), self._point("throughput", self.max_concurrency))
        if self.rate:
            return tuple(self._point(self.arrival, level) for level in self.rate)
        return tuple(self._point("concurrency", level) for level in self.concurrency)

    def between(self, slowest: float, fastest: float) -> tuple[LoadPoint, ...]:
        """The sweep's inner levels, evenly spaced request rates between its extremes in requests/s."""
        inner = (self.sweep or 2) - 2
        step = (fastest - slowest) / (inner + 1)
        return tuple(self._point("constant", slowest + step * (i + 1)) for i in range(inner))
