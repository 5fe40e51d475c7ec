"""Configurations as rows of numbers, many at a time.

A row has one column per parameter: a number's place on its scale in [0, 1], a choice's index, NaN where the
parameter is inactive.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from servelab.search.draw import from_unit, scale, to_unit
from servelab.search.gaussian import Points
from servelab.spec.base import Parameters, Value
from servelab.spec.space import CategoricalParameter, Condition, FloatParameter, IntParameter, Space, same_value

Rows = NDArray[np.float64]

NEAREST, FARTHEST = 0.01, 0.25  # how far a mutation moves a number, as a share of its scale


class Codes:
    """Translates between configurations of a space and rows."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.names = list(space.parameters)
        self.categorical = np.array([isinstance(p, CategoricalParameter) for p in space.parameters.values()])
        self._ordered = np.array([_is_ordered(p) for p in space.parameters.values()])

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)

    def row(self, parameters: Parameters) -> Rows:
        """The row of one configuration; a value outside the space is clipped, a choice outside is no choice."""
        return np.array([self._code(name, parameters.get(name)) for name in self.names])

    def rows(self, many: Sequence[Parameters]) -> Rows:
        """A row for each configuration, shape (n, width)."""
        return np.array([self.row(parameters) for parameters in many]).reshape(len(many), self.width)

    def parameters(self, row: Rows) -> Parameters:
        """The configuration of a row."""
        found: Parameters = {}
        for name, code in zip(self.names, row, strict=True):
            if not np.isnan(code):
                parameter = self.space.parameters[name]
                if isinstance(parameter, CategoricalParameter):
                    found[name] = parameter.choices[int(code)]
                else:
                    found[name] = from_unit(parameter, float(code))
        return found

    def points(self, rows: Rows) -> Points:
        """The rows as the models see them: choices that are ascending numbers, as 1, 2, 4, 8, are ranks in [0, 1]."""
        ranks = np.array(
            [
                len(p.choices) - 1 if isinstance(p, CategoricalParameter) and ordered else 1
                for p, ordered in zip(self.space.parameters.values(), self._ordered, strict=True)
            ]
        )
        return Points(rows / ranks, self.categorical & ~self._ordered)

    def draw(self, count: int, rng: np.random.Generator) -> Rows:
        """Random rows, uniform over each parameter's scale; forbidden combinations and inactive parts removed."""
        drawn = rng.random((count, self.width))
        for column, name in enumerate(self.names):
            drawn[:, column] = self._from_uniform(name, drawn[:, column])
        return self.legal(drawn)

    def mutate(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Each row with one to three parameters changed: a number moved a little or anywhere, a choice drawn anew."""
        count = len(rows)
        fresh = rng.random(rows.shape)
        for column, name in enumerate(self.names):
            fresh[:, column] = self._from_uniform(name, fresh[:, column])
        reach = NEAREST * (FARTHEST / NEAREST) ** rng.random((count, 1))
        near = np.clip(rows + reach * rng.standard_normal(rows.shape), 0.0, 1.0)
        moved = np.where(self.categorical | np.isnan(rows) | (rng.random(rows.shape) < 0.3), fresh, near)
        ranks = np.argsort(np.argsort(rng.random(rows.shape), axis=1), axis=1)
        changed = ranks < rng.integers(1, 4, (count, 1))
        # An inactive parameter may become active by the change of another, and then needs a value.
        return self.legal(np.where(changed | np.isnan(rows), moved, rows))

    def legal(self, rows: Rows) -> Rows:
        """Numbers snapped to their steps, inactive parameters removed, rows with forbidden combinations left out."""
        rows = rows.copy()
        for column, name in enumerate(self.names):
            parameter = self.space.parameters[name]
            if isinstance(parameter, IntParameter):
                rows[:, column] = snap(parameter, rows[:, column])
            when = self.space.parameters[name].when
            if when:
                rows[~self._holds(when, rows), column] = np.nan
        forbidden = [self._holds(combination, rows) for combination in self.space.forbid]
        return rows[~np.any(forbidden, axis=0)] if forbidden else rows

    def _holds(self, condition: Condition, rows: Rows) -> NDArray[np.bool_]:
        held = np.ones(len(rows), dtype=bool)
        for name, allowed in condition.items():
            codes = [self._code(name, value) for value in allowed]
            column = rows[:, self.names.index(name)]
            held &= np.any([np.abs(column - code) < 1e-9 for code in codes], axis=0)
        return held

    def _code(self, name: str, value: Value | None) -> float:
        parameter = self.space.parameters[name]
        if value is None:
            return np.nan
        if isinstance(parameter, CategoricalParameter):
            return next((float(i) for i, choice in enumerate(parameter.choices) if same_value(choice, value)), np.nan)
        return to_unit(parameter, float(value)) if isinstance(value, int | float) else np.nan

    def _from_uniform(self, name: str, uniform: Rows) -> Rows:
        parameter = self.space.parameters[name]
        if isinstance(parameter, CategoricalParameter):
            return np.floor(uniform * len(parameter.choices))
        return uniform


def snap(parameter: IntParameter, units: Rows) -> Rows:
    """The places on a whole number's scale that are nearest to its values; NaN stays."""
    low, high = scale(parameter)
    values = low * (high / low) ** units if parameter.log else low + (high - low) * units
    steps = (parameter.high - parameter.low) // parameter.step
    whole = parameter.low + parameter.step * np.clip(np.round((values - parameter.low) / parameter.step), 0, steps)
    return np.asarray(np.log(whole / low) / np.log(high / low) if parameter.log else (whole - low) / (high - low))


def _is_ordered(parameter: IntParameter | FloatParameter | CategoricalParameter) -> bool:
    if not isinstance(parameter, CategoricalParameter) or len(parameter.choices) < 3:
        return False
    numbers = [c for c in parameter.choices if isinstance(c, int | float) and not isinstance(c, bool)]
    return len(numbers) == len(parameter.choices) and numbers == sorted(numbers)
