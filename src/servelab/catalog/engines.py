"""Engines' arguments: type, range, default, what each does, what it conflicts with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from servelab.catalog.files import merged, misplaced, overlays, read_data
from servelab.catalog.nearest import suggestion
from servelab.spec.base import Spec, Value
from servelab.spec.errors import NotFoundError
from servelab.spec.space import Parameter

ArgumentType = Literal["int", "float", "bool", "enum", "string", "json"]

_FILES = {"llamacpp": "llamacpp", "sglang": "sglang", "simulated": "vllm", "trtllm": "trtllm", "vllm": "vllm"}
"""Engine -> the file with its arguments; the simulated engine takes vLLM's."""


SIMULATION = ("time_scale", "startup_seconds", "fault")
"""What the simulated engine takes beside vLLM's arguments."""


class Relation(Spec):
    """What an argument's value ``when`` asks of another argument (``requires``) or forbids (``conflicts``)."""

    when: tuple[Value, ...] = Field(default=(), description="values that it holds for; empty for any")
    argument: str
    values: tuple[Value, ...]
    why: str

    @field_validator("when", "values", mode="before")
    @classmethod
    def _listed(cls, raw: Any) -> Any:
        return raw if isinstance(raw, list | tuple) else (raw,)

    def applies(self, value: Value) -> bool:
        """Whether it says something about this value."""
        return not self.when or any(value is w or (value == w and not isinstance(w, bool)) for w in self.when)


class Argument(Spec):
    """One argument of an engine."""

    flag: str = Field(pattern=r"-{1,2}[A-Za-z0-9][A-Za-z0-9-_.]*")
    type: ArgumentType
    default: Value | None = Field(default=None, description="None: decided when the engine starts; help says how")
    range: tuple[float, float] | None = None
    values: tuple[Value, ...] = ()
    negative: str | None = Field(default=None, description="flag that turns a switch off")
    category: str
    help: str
    moves: tuple[str, ...] = Field(default=(), description="metrics it moves")
    tune: Parameter | None = Field(default=None, description="how to search it; None: not worth searching")
    requires: tuple[Relation, ...] = ()
    conflicts: tuple[Relation, ...] = ()
    since: str | None = None
    until: str | None = None
    usual: tuple[Value, ...] = Field(default=(), description="values in use; others are asked about, not refused")
    called: tuple[str, ...] = Field(default=(), description="what people call it, beside its own name")
    spoken: dict[str, Value] = Field(default_factory=dict, description="phrase -> the value that it sets")
    note: str | None = None
    security: str | None = Field(default=None, description="what its use may open up")
    requires_custom_image: bool = Field(default=False, description="only builds of one's own know it")
    auto_configured: bool = Field(default=False, description="a pipeline sets it by itself")
    values_path: str | None = Field(default=None, description="its place in a data-collection values file")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.type == "enum") != bool(self.values):
            raise ValueError("values belong to an enum, and an enum has values")
        return self

    def fault(self, value: Value) -> str | None:
        """What is wrong with ``value``, or None."""
        if self.type == "bool":
            return None if isinstance(value, bool) else f"is a switch: true or false, not {value!r}"
        if self.type in ("int", "float"):
            return self._number_fault(value)
        if self.type == "enum" and value not in self.values:
            known = [str(choice) for choice in self.values]
            return f"{value!r} is not one of {', '.join(known)}{suggestion(str(value), known)}"
        return None

    def _number_fault(self, value: Value) -> str | None:
        if isinstance(value, bool | str) or (self.type == "int" and not isinstance(value, int)):
            return f"must be {'a whole number' if self.type == 'int' else 'a number'}, not {value!r}"
        if self.range is not None and not self.range[0] <= value <= self.range[1]:
            return f"{value} is outside of {self.range[0]:g} to {self.range[1]:g}"
        return None


class EngineArguments(Spec):
    """All that is known of an engine's arguments."""

    engine: str
    title: str
    checked: str = Field(description="version and document that the data was checked against")
    arguments: dict[str, Argument]


def engine_names() -> tuple[str, ...]:
    """The engines whose arguments are known."""
    return tuple(_FILES)


def find_engine(name: str) -> EngineArguments | None:
    """What is known of an engine; None for a plug-in that the catalog does not know."""
    return _read(_FILES[name]) if name in _FILES else None


def get_engine(name: str) -> EngineArguments:
    """What is known of an engine.

    Raises:
        NotFoundError: nothing; names the nearest.
    """
    found = find_engine(name)
    if found is None:
        raise NotFoundError(
            f"the catalog knows no engine {name!r}{suggestion(name, _FILES)}", f"Known are: {', '.join(_FILES)}."
        )
    return found


def engine_arguments(name: str) -> Mapping[str, Argument]:
    """The arguments of an engine by name; empty for one that the catalog does not know."""
    found = find_engine(name)
    return found.arguments if found else {}


@cache
def _read(file: str) -> EngineArguments:
    data, own = read_data(f"engines/{file}"), [overlay for overlay in overlays() if Path(overlay.source).stem == file]
    for overlay in own:
        data = {**data, "arguments": merged(data["arguments"], overlay.data)}
    try:
        return EngineArguments.model_validate(data)
    except ValidationError as error:
        raise misplaced(error, own) from None
