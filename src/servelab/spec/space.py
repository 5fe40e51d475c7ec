"""The parameters a study may change, and which combinations make sense."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from servelab.spec.base import ParameterName, Parameters, Spec, Value

Condition = dict[ParameterName, tuple[Value, ...]]
"""Parameter -> values: holds when each named parameter has one of its values."""


def _as_condition(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    return {name: values if isinstance(values, list | tuple) else (values,) for name, values in raw.items()}


WrittenCondition = Annotated[Condition, BeforeValidator(_as_condition)]


class _Parameter(Spec):
    when: WrittenCondition = Field(default_factory=dict, description="active only when this holds")


class IntParameter(_Parameter):
    """A whole number in [low, high], on a logarithmic scale if ``log``, in steps if ``step``."""

    type: Literal["int"] = "int"
    low: int
    high: int
    log: bool = False
    step: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, self.log)
        return self

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a legal choice."""
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
            and (value - self.low) % self.step == 0
        )

    @property
    def values(self) -> tuple[Value, ...] | None:
        """All values, in order."""
        return tuple(range(self.low, self.high + 1, self.step))


class FloatParameter(_Parameter):
    """A real number in [low, high], on a logarithmic scale if ``log``."""

    type: Literal["float"] = "float"
    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, self.log)
        return self

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a legal choice."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    @property
    def values(self) -> tuple[Value, ...] | None:
        """None: the values cannot be listed."""
        return None


class CategoricalParameter(_Parameter):
    """One of ``choices``; booleans are the choices true and false."""

    type: Literal["categorical"] = "categorical"
    choices: tuple[Value, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({(type(choice), choice) for choice in self.choices}) < len(self.choices):
            raise ValueError("a choice is listed twice")
        return self

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a legal choice."""
        return any(same_value(value, choice) for choice in self.choices)

    @property
    def values(self) -> tuple[Value, ...] | None:
        """All values, in order."""
        return self.choices


def _check_range(low: float, high: float, log: bool) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}")
    if log and low <= 0:
        raise ValueError(f"a logarithmic scale needs low > 0, not {low}")


def same_value(a: Value, b: Value) -> bool:
    """Equality that tells True from 1."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _kind(raw: Any) -> str:
    if isinstance(raw, dict):
        if "type" in raw:
            return str(raw["type"])
        if "choices" in raw:
            return "categorical"
        bounds = (raw.get("low"), raw.get("high"))
        return "int" if all(isinstance(bound, int) for bound in bounds) else "float"
    return str(getattr(raw, "type", "categorical"))


def _short_form(raw: Any) -> Any:
    return {"choices": raw} if isinstance(raw, list | tuple) else raw


Parameter = Annotated[
    Annotated[IntParameter, Tag("int")]
    | Annotated[FloatParameter, Tag("float")]
    | Annotated[CategoricalParameter, Tag("categorical")],
    Discriminator(_kind),
    BeforeValidator(_short_form),
]


class Space(Spec):
    """Named parameters, conditions between them, and combinations that are forbidden."""

    parameters: dict[ParameterName, Parameter] = Field(min_length=1)
    forbid: tuple[WrittenCondition, ...] = Field(default=(), description="combinations never to try")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, parameter in self.parameters.items():
            self._check_condition(parameter.when, f"{name}.when", before=name)
        for index, combination in enumerate(self.forbid):
            self._check_condition(combination, f"forbid[{index}]")
        return self

    def _check_condition(self, condition: Condition, where: str, before: str | None = None) -> None:
        known = list(self.parameters)
        for name, values in condition.items():
            if name not in self.parameters:
                raise ValueError(f"{where} names {name!r}, which is not a parameter of this space")
            if before is not None and known.index(name) >= known.index(before):
                raise ValueError(f"{where} depends on {name!r}, which must be listed before it")
            for value in values:
                if not self.parameters[name].contains(value):
                    raise ValueError(f"{where}: {name} can never be {value!r}")

    def active(self, name: str, parameters: Parameters) -> bool:
        """Whether parameter ``name`` plays a part, given the parameters before it."""
        return matches(self.parameters[name].when, parameters)

    def allowed(self, parameters: Parameters) -> bool:
        """Whether no forbidden combination holds."""
        return not any(matches(combination, parameters) for combination in self.forbid)

    def contains(self, parameters: Parameters) -> bool:
        """Whether exactly the active parameters are set, each to a legal value, in an allowed combination."""
        return self.allowed(parameters) and all(
            (name in parameters and parameter.contains(parameters[name]))
            if self.active(name, parameters)
            else name not in parameters
            for name, parameter in self.parameters.items()
        )

    @property
    def size(self) -> float:
        """Upper bound of the number of configurations; infinite when a parameter is continuous."""
        counts = [len(parameter.values) if parameter.values else math.inf for parameter in self.parameters.values()]
        return math.prod(counts)


def matches(condition: Condition, parameters: Parameters) -> bool:
    """Whether every named parameter is set to one of its values."""
    return all(
        name in parameters and any(same_value(parameters[name], value) for value in values)
        for name, values in condition.items()
    )
