"""Which configurations run at all: what is known of rules like "tp = 8 and graphs on and more than 700 sequences".

A crash is the work of a rule: a conjunction of a few literals (a choice is this; a number is at least, or at most,
that). No configuration that ran can satisfy it. Two things follow, and no kernel over all dimensions says either:

- After a crash, the suspects are the small sets of its literals that nothing that ran has satisfied; each is believed
  in proportion to its prior and to how many crashes of the same cause it explains.
- Before any crash, every single value and every pair of values that no running configuration has shown to be
  harmless is a hazard (the coverage of combinatorial testing; Kuhn et al. 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from servelab.search.gaussian import Array, Mask, Points

HAZARD = (0.004, 0.0006, 0.00015)  # prior rate of rules of one, two and three literals
REACH = 0.12  # of a number's scale: how far a threshold may lie from where it showed
WITNESS = 3.0  # how strongly one running configuration refutes a rule: exp(-3) is left of it
AGAIN = 4.0  # how much a rule gains by explaining another crash of the same cause
WIDEST_FOR_TRIPLES = 26  # literals
MOST_RULES = 400
MOST_CRASHES = 12  # of a cause, the newest


@dataclass(frozen=True)
class Literals:
    """Which columns a literal speaks of, and how: equality of a choice, at least (+1) or at most (-1) a number."""

    columns: NDArrayInt
    sides: Array


NDArrayInt = np.ndarray[tuple[int], np.dtype[np.int64]]


def literals(choices: Mask) -> Literals:
    """One per choice, two per number."""
    pairs = [(i, side) for i, is_choice in enumerate(choices) for side in ((0.0,) if is_choice else (1.0, -1.0))]
    return Literals(np.array([i for i, _ in pairs], dtype=np.int64), np.array([side for _, side in pairs]))


def satisfied(literal: Literals, anchors: Array, rows: Array) -> Array:
    """How surely each row satisfies each anchor's literals, shape (anchors, literals, rows).

    The literal of a number holds beyond its value at the anchor, and fades within REACH before it, since where the
    threshold lies is unknown.
    """
    a = anchors[:, literal.columns][:, :, None]
    x = rows[:, literal.columns].T[None, :, :]
    missing = np.isnan(a) | np.isnan(x)
    choice = literal.sides[None, :, None] == 0
    short = np.maximum(0.0, literal.sides[None, :, None] * np.where(missing, 0.0, a - x))
    held = np.where(choice, (a == x).astype(float), np.exp(-short / REACH))
    return np.where(missing, (np.isnan(a) & np.isnan(x)).astype(float), held)


class RunsModel:
    """Learns from rows that ran (n, width), rows that failed (f, width) and the causes of these."""

    def __init__(self, ran: Points, failed: Array, causes: Sequence[str]) -> None:
        self._literals = literals(ran.choices)
        self._ran = ran.rows
        # Half a literal each for the two sides of a number, so that it weighs as much as a choice.
        self._weights = np.where(self._literals.sides == 0, 1.0, 0.5)
        self._causes = [
            _Cause(self, failed[[c == cause for c in causes]][-MOST_CRASHES:]) for cause in sorted(set(causes))
        ]

    def probability(self, rows: Array) -> Array:
        """The probability that each row runs, shape (n,)."""
        found = np.exp(-self.hazard(rows))
        for cause in self._causes:
            found = found * (1 - cause.strikes(rows))
        return np.asarray(found)

    def hazard(self, rows: Array) -> Array:
        """Expected number of unknown rules that strike each row: single values and pairs nothing has shown harmless."""
        single = np.zeros((len(rows), len(self._weights)))
        pair = np.zeros((len(rows), len(self._weights), len(self._weights)))
        if len(self._ran):
            held = satisfied(self._literals, rows, self._ran)
            single = held.sum(axis=2)
            pair = held @ held.transpose(0, 2, 1)
        columns = self._literals.columns
        both = np.outer(self._weights, self._weights) * (columns[:, None] < columns[None, :])
        alone = np.exp(-WITNESS * single) @ self._weights
        return np.asarray(HAZARD[0] * alone + HAZARD[1] * np.einsum("nij,ij->n", np.exp(-WITNESS * pair), both))


class _Cause:
    """The crashes of one cause, and the rules suspected of each."""

    def __init__(self, model: RunsModel, failed: Array) -> None:
        self._model = model
        self._suspects = [self._suspect(index, failed) for index in range(len(failed))]
        self._failed = failed

    def strikes(self, rows: Array) -> Array:
        """The probability that the cause strikes each row."""
        found = np.zeros(len(rows))
        for anchor, (rules, belief) in zip(self._failed, self._suspects, strict=True):
            held = _all_held(satisfied(self._model._literals, anchor[None, :], rows)[0], rules)
            found = np.maximum(found, belief @ held)
        return found

    def _suspect(self, index: int, failed: Array) -> tuple[NDArrayInt, Array]:
        model = self._model
        rules = _rules(model._literals.columns)
        anchor = failed[index][None, :]
        size = (rules >= 0).sum(axis=1)
        weights = np.concatenate([model._weights, [1.0]])
        belief = np.array(HAZARD)[size - 1] * np.prod(weights[rules], axis=1)
        if len(model._ran):
            cleared = _all_held(satisfied(model._literals, anchor, model._ran)[0], rules)
            belief = belief * np.prod(1 - (1 - np.exp(-WITNESS)) * cleared, axis=1)
        others = np.delete(failed, index, axis=0)
        if len(others):
            belief = belief * (1 + AGAIN * _all_held(satisfied(model._literals, anchor, others)[0], rules).sum(axis=1))
        kept = np.argsort(-belief, kind="stable")[:MOST_RULES]
        return rules[kept], belief[kept] / belief[kept].sum()


def _rules(columns: NDArrayInt) -> NDArrayInt:
    """All conjunctions of up to three literals of different columns, as indices padded with -1, shape (rules, 3)."""
    count = len(columns)
    found = [(i, -1, -1) for i in range(count)]
    found += [(i, j, -1) for i, j in combinations(range(count), 2) if columns[i] != columns[j]]
    if count <= WIDEST_FOR_TRIPLES:
        found += [t for t in combinations(range(count), 3) if len({columns[i] for i in t}) == 3]
    return np.array(found)


def _all_held(held: Array, rules: NDArrayInt) -> Array:
    """How surely each row satisfies each rule, shape (rules, rows), from ``held`` (literals, rows)."""
    padded = np.concatenate([held, np.ones((1, held.shape[1]))])
    return np.asarray(padded[rules[:, 0]] * padded[rules[:, 1]] * padded[rules[:, 2]])
