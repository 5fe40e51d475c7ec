"""Draw configurations at random, and tell configurations apart."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Hashable, Iterable

from servelab.spec.base import Parameters, Value
from servelab.spec.space import CategoricalParameter, FloatParameter, IntParameter, Space

Key = frozenset[tuple[str, Hashable]]

ATTEMPTS = 2000  # draws before a space counts as exhausted
ENUMERABLE = 20_000  # spaces up to this size are listed, so that exhaustion is known for certain


def rng_for(seed: int, number: int) -> random.Random:
    """The randomness of trial ``number``: the same whatever was asked before."""
    return random.Random(zlib.crc32(f"{seed}/{number}".encode()))


def key(parameters: Parameters) -> Key:
    """What makes two configurations the same; True differs from 1, and floats count to six digits."""
    return frozenset((name, _plain(value)) for name, value in parameters.items())


def _plain(value: Value) -> Hashable:
    if isinstance(value, bool):
        return ("bool", value)
    return float(f"{value:.6g}") if isinstance(value, float) else value


def draw(space: Space, rng: random.Random) -> Parameters:
    """One configuration, uniform over each parameter's scale; may be a forbidden combination."""
    found: Parameters = {}
    for name, parameter in space.parameters.items():
        if space.active(name, found):
            found[name] = draw_value(parameter, rng)
    return found


def draw_value(parameter: IntParameter | FloatParameter | CategoricalParameter, rng: random.Random) -> Value:
    """A value, uniform over the parameter's scale."""
    if isinstance(parameter, CategoricalParameter):
        return rng.choice(parameter.choices)
    return from_unit(parameter, rng.random())


def from_unit(parameter: IntParameter | FloatParameter, unit: float) -> int | float:
    """The value at ``unit`` in [0, 1] of the parameter's scale."""
    low, high = float(parameter.low), float(parameter.high)
    if isinstance(parameter, IntParameter):
        low, high = low - 0.5 * parameter.step, high + 0.5 * parameter.step
    value = low + (high - low) * unit
    if parameter.log:
        floor = float(parameter.low) if low <= 0 else low
        value = math.exp(math.log(floor) + (math.log(high) - math.log(floor)) * unit)
    if isinstance(parameter, FloatParameter):
        return min(parameter.high, max(parameter.low, float(f"{value:.6g}")))
    stepped = parameter.low + round((value - parameter.low) / parameter.step) * parameter.step
    top = parameter.low + (parameter.high - parameter.low) // parameter.step * parameter.step
    return min(top, max(parameter.low, stepped))


def to_unit(parameter: IntParameter | FloatParameter, value: float) -> float:
    """Where ``value`` lies on the parameter's scale, in [0, 1]; values outside are clipped."""
    low, high = float(parameter.low), float(parameter.high)
    if high == low:
        return 0.5
    clipped = min(high, max(low, value))
    if parameter.log:
        return math.log(clipped / low) / math.log(high / low)
    return (clipped - low) / (high - low)


def draw_new(space: Space, rng: random.Random, taken: Iterable[Key]) -> Parameters | None:
    """An allowed configuration that is not ``taken``, or None when there is none left."""
    used = set(taken)
    if space.size <= ENUMERABLE:
        left = [parameters for parameters in enumerate_space(space) if key(parameters) not in used]
        return rng.choice(left) if left else None
    for _ in range(ATTEMPTS):
        found = draw(space, rng)
        if space.allowed(found) and key(found) not in used:
            return found
    return None


def enumerate_space(space: Space) -> list[Parameters]:
    """All allowed configurations, each once, the last parameter varying fastest.

    Raises:
        ValueError: a parameter is continuous.
    """
    rows: list[Parameters] = [{}]
    for name, parameter in space.parameters.items():
        if parameter.values is None:
            raise ValueError(f"{name} is continuous")
        rows = [
            {**row, **extra}
            for row in rows
            for extra in ([{name: v} for v in parameter.values] if space.active(name, row) else [{}])
        ]
    return [row for row in rows if space.allowed(row)]
