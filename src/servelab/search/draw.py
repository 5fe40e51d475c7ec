"""Draw configurations at random, and tell configurations apart."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Hashable, Iterable

from servelab.spec.base import Parameters, Value
from servelab.spec.space import CategoricalParameter, FloatParameter, IntParameter, Space

Key = frozenset[tuple[str, Hashable]]

ATTEMPTS = 1000  # draws before what is left is listed, or a space that is too large for that counts as exhausted
ENUMERABLE = 20_000  # configurations


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


def scale(parameter: IntParameter | FloatParameter) -> tuple[float, float]:
    """The ends of a parameter's scale; half a step is added to whole numbers, so that all are equally likely."""
    low, high = float(parameter.low), float(parameter.high)
    if isinstance(parameter, IntParameter):
        half = 0.5 * parameter.step
        low, high = (low - half if low > half or not parameter.log else low), high + half
    return low, high


def from_unit(parameter: IntParameter | FloatParameter, unit: float) -> int | float:
    """The value at ``unit`` in [0, 1] of the parameter's scale."""
    low, high = scale(parameter)
    value = low * (high / low) ** unit if parameter.log else low + (high - low) * unit
    if isinstance(parameter, FloatParameter):
        return min(parameter.high, max(parameter.low, float(f"{value:.6g}")))
    steps = (parameter.high - parameter.low) // parameter.step
    return parameter.low + parameter.step * min(steps, max(0, round((value - parameter.low) / parameter.step)))


def to_unit(parameter: IntParameter | FloatParameter, value: float) -> float:
    """Where ``value`` lies on the parameter's scale, in [0, 1]; values outside are clipped."""
    low, high = scale(parameter)
    if high == low:
        return 0.5
    clipped = min(high, max(low, value))
    if parameter.log:
        return math.log(clipped / low) / math.log(high / low)
    return (clipped - low) / (high - low)


def draw_new(space: Space, rng: random.Random, taken: Iterable[Key]) -> Parameters | None:
    """An allowed configuration that is not ``taken``, or None when there is none left."""
    used = set(taken)
    for _ in range(ATTEMPTS):
        found = draw(space, rng)
        if space.allowed(found) and key(found) not in used:
            return found
    if space.size > ENUMERABLE:
        return None
    left = [parameters for parameters in enumerate_space(space) if key(parameters) not in used]
    return rng.choice(left) if left else None


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
