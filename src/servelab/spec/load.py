"""How much of a workload at once, and for how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from servelab.spec.base import Seconds, Spec

Arrival = Literal["poisson", "constant", "gamma"]
LoadKind = Literal["concurrency", "constant", "poisson", "gamma", "replay", "throughput"]
OPEN: tuple[LoadKind, ...] = (*get_args(Arrival), "replay")
"""Open loop: when requests are due does not depend on the server."""


class LoadPoint(Spec):
    """One level of load, held until ``requests`` are done or ``seconds`` have passed."""

    kind: LoadKind
    level: float = Field(gt=0, description="streams in flight, requests per second, or speed of a replay")
    start: PositiveFloat | None = Field(
        default=None, description="requests per second at the beginning, from where the rate goes evenly to the level"
    )
    burstiness: PositiveFloat = Field(default=1.0, description="of gamma arrivals: 1 is Poisson, less is burstier")
    requests: PositiveInt | None = None
    seconds: Seconds | None = Field(default=None, gt=0)
    warmup: NonNegativeInt = Field(
        default=0, description="requests that are not counted, sent first; at a concurrency at least one per stream"
    )

    @property
    def open_loop(self) -> bool:
        """Whether requests are due at times that do not depend on the server."""
        return self.kind in OPEN

    @property
    def label(self) -> str:
        """How people name this point, as ``concurrency 8`` or ``4 req/s (poisson)``."""
        if self.kind in ("concurrency", "throughput"):
            return f"{'concurrency' if self.kind == 'concurrency' else 'at most'} {self.level:g}"
        if self.kind == "replay":
            return f"replay x {self.level:g}"
        rate = f"{self.start:g} to {self.level:g}" if self.start is not None else f"{self.level:g}"
        return f"{rate} req/s ({self.kind}{f' {self.burstiness:g}' if self.kind == 'gamma' else ''})"


def _levels(value: Any) -> Any:
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value


Levels = Annotated[tuple[PositiveFloat, ...], BeforeValidator(_levels)]


class Ramp(Spec):
    """A request rate that goes evenly from one to another while the measurement lasts; requests per second."""

    low: PositiveFloat = Field(description="at the beginning")
    high: PositiveFloat = Field(description="at the end")


class Saturation(Spec):
    """A search for the highest level of load that still meets the study's constraints.

    Levels are doubled from ``low`` on until one misses, then the ratio in between is halved until it is within
    ``tolerance``. A level that is neither clearly met nor clearly missed is measured again with twice the
    requests, up to ``max_requests``.
    """

    of: Literal["rate", "concurrency", "replay"] = "rate"
    low: PositiveFloat
    high: PositiveFloat
    tolerance: float = Field(default=0.05, ge=0.005, le=1, description="share between the highest met, lowest missed")
    max_requests: PositiveInt | None = Field(default=None, description="default: four times the load's requests")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.of == "concurrency" and (self.low != int(self.low) or self.high != int(self.high)):
            raise ValueError("concurrency levels are whole numbers")
        return self


class Estimation(Spec):
    """Concurrency levels for fitting a latency model, each chosen where it narrows the fit most.

    The first are 1, ``high``, and some between; then as the measurements so far advise, until the time is used up or
    the fit is narrow.
    """

    high: Annotated[int, Field(ge=2)] = Field(description="highest concurrency")
    total: Seconds = Field(default=360.0, gt=0, description="seconds under load in all, warm-up included")
    most: Annotated[int, Field(ge=2)] = Field(default=24, description="measurements at most")


WAYS = ("concurrency", "rate", "ramp", "replay", "synchronous", "throughput", "sweep", "saturation", "estimate")


class Load(Spec):
    """The load levels of each deployment, in one of the ways of WAYS.

    Each level runs until ``requests`` are done or ``seconds`` have passed, whichever is first; a replay without
    either is the whole trace.
    """

    concurrency: Levels = Field(default=(), description="closed loop: streams in flight")
    rate: Levels = Field(default=(), description="open loop: requests per second")
    ramp: Ramp | None = Field(default=None, description="open loop: a rate that changes evenly")
    replay: Levels = Field(default=(), description="open loop: the workload's trace, at this multiple of its speed")
    synchronous: bool = Field(default=False, description="one request at a time")
    throughput: bool = Field(default=False, description="as fast as possible, up to max_concurrency in flight")
    sweep: Annotated[int, Field(ge=3, le=50)] | None = Field(
        default=None,
        description="number of levels: one stream, as fast as possible, and rates between",
    )
    saturation: Saturation | None = Field(default=None, description="search the highest level that meets the SLO")
    estimate: Estimation | None = Field(default=None, description="levels for fitting a latency model")
    arrival: Arrival = "poisson"
    burstiness: PositiveFloat = Field(
        default=1.0, description="gamma arrivals: their shape; 1 is Poisson, less is burstier, more is more even"
    )
    max_concurrency: PositiveInt = Field(default=512, description="most streams in flight at open loop")
    requests: PositiveInt | None = None
    seconds: Seconds | None = Field(default=None, gt=0)
    warmup: NonNegativeInt = 2

    @model_validator(mode="before")
    @classmethod
    def _usual_arrival(cls, raw: Any) -> Any:
        """Burstiness means gamma arrivals, and a sweep's rates are constant unless it says otherwise."""
        if not isinstance(raw, dict) or "arrival" in raw:
            return raw
        if "burstiness" in raw:
            return {**raw, "arrival": "gamma"}
        return {**raw, "arrival": "constant"} if raw.get("sweep") is not None else raw

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(bool(getattr(self, way)) for way in WAYS) != 1:
            raise ValueError(f"give exactly one of {', '.join(WAYS[:-1])} and {WAYS[-1]}")
        if self.requests is None and self.seconds is None and not self.replay:
            raise ValueError("say how long a level lasts: requests (a count) or seconds")
        if any(level != int(level) for level in self.concurrency):
            raise ValueError("concurrency levels are whole numbers")
        if self.burstiness != 1.0 and self.arrival != "gamma":
            raise ValueError(f"burstiness is of gamma arrivals, not {self.arrival} ones")
        if self.saturation:
            self._check_saturation(self.saturation)
        return self

    def _check_saturation(self, search: Saturation) -> None:
        if self.requests is None:
            raise ValueError("a saturation search is ruled by requests: say how many a level has at first")
        if (search.max_requests or self.requests) < self.requests:
            raise ValueError(f"max_requests {search.max_requests} is below the load's requests {self.requests}")

    def point(self, kind: LoadKind, level: float, requests: int | None = None) -> LoadPoint:
        """A level that lasts as the load says, or ``requests`` at most."""
        return LoadPoint(
            kind=kind,
            level=level,
            burstiness=self.burstiness if kind == "gamma" else 1.0,
            requests=requests or self.requests,
            seconds=self.seconds,
            warmup=self.warmup,
        )

    @property
    def adaptive(self) -> bool:
        """Whether levels depend on what earlier ones showed."""
        return self.sweep is not None or self.saturation is not None or self.estimate is not None

    @property
    def points(self) -> tuple[LoadPoint, ...]:
        """The levels known beforehand, in order; a sweep knows its two extremes, a search or an estimation none."""
        if self.saturation or self.estimate:
            return ()
        if self.sweep:
            return (self.point("concurrency", 1), self.point("throughput", self.max_concurrency))
        if self.synchronous:
            return (self.point("concurrency", 1),)
        if self.throughput:
            return (self.point("throughput", self.max_concurrency),)
        if self.ramp:
            return (self.point(self.arrival, self.ramp.high).model_copy(update={"start": self.ramp.low}),)
        if self.rate:
            return tuple(self.point(self.arrival, level) for level in self.rate)
        if self.replay:
            return tuple(self.point("replay", level) for level in self.replay)
        return tuple(self.point("concurrency", level) for level in self.concurrency)

    @property
    def kinds(self) -> tuple[LoadPoint, ...]:
        """The levels known beforehand, and one of those that are found out."""
        if self.saturation:
            return (self.searched(self.saturation.low),)
        return (*self.points, *(self.between(1, 2)[:1] if self.sweep else ()))

    def searched(self, level: float) -> LoadPoint:
        """A level of the saturation search."""
        of = self.saturation.of if self.saturation else "rate"
        return self.point(self.arrival if of == "rate" else of, level)

    def between(self, slowest: float, fastest: float) -> tuple[LoadPoint, ...]:
        """The sweep's further levels, as in guidellm: even steps in requests/s from one extreme up to the other."""
        count = (self.sweep or 2) - 2
        step = (fastest - slowest) / max(1, count)
        return tuple(self.point(self.arrival, slowest + step * (i + 1)) for i in range(count))
