"""The one document a user writes."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from servelab.spec.base import Label, ParameterName, Parameters, Spec, Value
from servelab.spec.budget import Budget
from servelab.spec.goal import Constraint, Objective, RequestSLO
from servelab.spec.load import Load
from servelab.spec.model import EngineConfig, Model
from servelab.spec.samples import too_few
from servelab.spec.space import Space
from servelab.spec.workload import Workload

SCHEMA_VERSION = 1


def _named(raw: Any) -> Any:
    return {"name": raw} if isinstance(raw, str) else raw


class PlatformConfig(Spec):
    """Where the engine runs: ``process``, ``endpoint``, or a plug-in, with its options."""

    name: Label = "process"
    options: dict[str, Any] = Field(default_factory=dict)


class HarnessConfig(Spec):
    """What makes the load and measures: ``builtin``, ``nop``, or a plug-in, with its options."""

    name: Label = "builtin"
    options: dict[str, Any] = Field(default_factory=dict)


class SamplerConfig(Spec):
    """How the next configuration is chosen, and the seed of everything random in the study."""

    name: Label = "auto"
    seed: int = Field(default=0, ge=0, lt=2**32)


class Study(Spec):
    """Model, engine, workload, load and goal; and what may change: a space, factors or treatments."""

    version: Literal[1] = Field(default=1, description="schema version of this document")
    name: Label
    description: str = ""
    model: Model
    engine: Annotated[EngineConfig, BeforeValidator(_named)]
    platform: Annotated[PlatformConfig, BeforeValidator(_named)] = PlatformConfig()
    harness: Annotated[HarnessConfig, BeforeValidator(_named)] = HarnessConfig()
    workload: Workload
    load: Load
    space: Space | None = Field(default=None, description="parameters to search")
    factors: dict[ParameterName, Annotated[tuple[Value, ...], Field(min_length=1)]] = Field(
        default_factory=dict, description="factor -> levels; every combination is a treatment"
    )
    treatments: tuple[dict[ParameterName, Value], ...] = Field(
        default=(), description="the configurations to try, in order"
    )
    baseline: dict[ParameterName, Value] = Field(
        default_factory=dict, description="the default configuration that others are compared with"
    )
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    request_slo: RequestSLO = Field(default=RequestSLO(), description="what a request must keep for goodput")
    sampler: Annotated[SamplerConfig, BeforeValidator(_named)] = SamplerConfig()
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ways = {"space": self.space is not None, "factors": bool(self.factors), "treatments": bool(self.treatments)}
        given = [name for name, is_given in ways.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"give only one of space, factors and treatments, not {' and '.join(given)}")
        if self.space is not None and not self.objectives:
            raise ValueError("a space is searched for an objective: add for example 'maximize output_throughput'")
        for name in self.changed:
            if name in self.engine.arguments:
                raise ValueError(f"{name} is fixed in engine.arguments and changed by the study: remove one")
        if self.load.saturation:
            self._check_saturation()
        else:
            self._check_levels()
        replays = self.load.replay or (self.load.saturation and self.load.saturation.of == "replay")
        if replays and self.workload.trace is None:
            raise ValueError("a replay needs the times of a trace: add workload.trace")
        return self

    def _check_saturation(self) -> None:
        if not self.constraints:
            raise ValueError("a saturation search needs an SLO: add for example constraints: [ttft_p95 <= 500ms]")
        for goal in self.goals:
            if goal.at is not None:
                raise ValueError(f"'{goal}' reads a load level, but a saturation search finds its level")
        if self.budget.repeats > 1:
            raise ValueError("a saturation search repeats what is in doubt by itself: leave budget.repeats out")
        guesses = too_few([constraint.metric for constraint in self.constraints], self.load.requests or 0)
        if guesses:
            raise ValueError(f"load.requests: {guesses[0]}")

    def _check_levels(self) -> None:
        if any(objective.metric == "saturation" for objective in self.objectives):
            raise ValueError("the metric saturation needs a search: add load.saturation")
        levels = [point.level for point in self.load.points]
        for goal in self.goals:
            if goal.at is not None and goal.at not in levels:
                raise ValueError(f"'{goal}' reads load level {goal.at:g}, but the levels are {levels}")

    @property
    def simulated(self) -> bool:
        """Whether the engine is the one that only plays an engine: nothing real is measured."""
        return self.engine.name == "simulated"

    @property
    def goals(self) -> tuple[Objective | Constraint, ...]:
        """The objectives, then the constraints."""
        return (*self.objectives, *self.constraints)

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the parameters that this study changes."""
        if self.space is not None:
            return tuple(self.space.parameters)
        return tuple(dict.fromkeys(name for treatment in self.design for name in treatment))

    @property
    def design(self) -> tuple[Parameters, ...]:
        """The explicit configurations, factors expanded; empty when a space is searched."""
        if self.factors:
            return tuple(dict(zip(self.factors, row, strict=True)) for row in itertools.product(*self.factors.values()))
        return self.treatments
