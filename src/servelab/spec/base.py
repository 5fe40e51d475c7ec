"""What every type of the vocabulary shares: frozen, closed to unknown fields."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StrictBool

Value = StrictBool | int | float | str
"""What a parameter or an engine argument may be set to."""

Parameters = dict[str, Value]
"""An assignment of values to named parameters; a parameter that is absent is left to the engine."""


class Spec(BaseModel):
    """Base of all vocabulary types: immutable, and an unknown field is an error."""

    # Validators are built when they are first used: most commands need few of the types.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def parse_seconds(value: Any) -> Any:
    """Turn ``"500ms"``, ``"2s"``, ``"1h30m"`` or a number of seconds into seconds.

    Anything that is not text passes through, so that pydantic reports it.

    Raises:
        ValueError: the text is not a duration.
    """
    if not isinstance(value, str):
        return value
    rest, total = value.strip().replace(" ", ""), 0.0
    if not rest:
        raise ValueError("a duration is empty; write for example 500ms, 2s or 10m")
    while rest:
        number = _DURATION.match(rest)
        unit = re.match(r"[a-z]*", rest[number.end() :]) if number else None
        if number is None or unit is None or (unit.group() and unit.group() not in _UNITS):
            raise ValueError(f"{value!r} is not a duration; write for example 500ms, 2s, 10m or 1h30m")
        total += float(number.group()) * _UNITS[unit.group() or "s"]
        rest = rest[number.end() + unit.end() :]
    return total


Seconds = Annotated[float, BeforeValidator(parse_seconds)]
"""A duration in seconds; text with a unit is understood."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?")


def check_label(name: str) -> str:
    """Let ``name`` through when it is a DNS label of at most 50 characters, safe in paths and manifests.

    Raises:
        ValueError: it is not.
    """
    if not _LABEL.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a valid name: use at most 50 of a-z, 0-9 and '-', "
            "starting and ending with a letter or digit"
        )
    return name


Label = Annotated[str, AfterValidator(check_label)]
"""A name that may reach a path, an argument or a manifest."""

_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def check_parameter_name(name: str) -> str:
    """Let ``name`` through when it can be an engine argument: letters, digits and underscores.

    Raises:
        ValueError: it cannot.
    """
    if not _PARAMETER.fullmatch(name):
        raise ValueError(f"{name!r} is not a parameter name; write it as max_num_seqs, without dashes")
    return name


ParameterName = Annotated[str, AfterValidator(check_parameter_name)]
"""The name of an engine argument in snake_case, as ``max_num_seqs`` for ``--max-num-seqs``."""
