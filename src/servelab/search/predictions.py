"""A prior's predictions, asked once per configuration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from servelab.search.codes import Codes
from servelab.search.gaussian import Array, Mask
from servelab.search.metrics_model import log
from servelab.spec.assess import Prediction, Prior

KEPT = 50_000  # predictions


@dataclass(frozen=True)
class Predicted:
    """What a prior says of some rows."""

    runs: Mask
    """False where it says that a row cannot run."""
    said: tuple[Prediction | None, ...]

    def logs(self, metric: str) -> Array:
        """The logarithm of the predicted metric; NaN where the prior says nothing of it."""
        name = metric.partition("@")[0]
        values = [said.metrics.get(name) if said else None for said in self.said]
        return np.array([np.nan if value is None else log([value])[0] for value in values])


class Predictions:
    """Asks a prior about rows; without a prior it knows nothing."""

    def __init__(self, prior: Prior | None, codes: Codes) -> None:
        self._prior = prior
        self._codes = codes
        self._known: dict[bytes, Prediction | None] = {}

    def of(self, rows: Array) -> Predicted:
        """What the prior says of each row."""
        said = tuple(self._ask(row) for row in rows) if self._prior else (None,) * len(rows)
        return Predicted(np.array([one is None or one.runs for one in said], dtype=bool), said)

    def _ask(self, row: Array) -> Prediction | None:
        assert self._prior is not None
        name = row.tobytes()
        if name not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[name] = self._prior(self._codes.parameters(row))
        return self._known[name]
