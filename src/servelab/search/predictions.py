"""A prior's predictions, asked once per configuration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from servelab.search.codes import Codes
from servelab.search.draw import Key, key
from servelab.search.gaussian import Array
from servelab.search.metrics_model import log
from servelab.spec.assess import Prediction, Prior


class Predictions:
    """Asks a prior about rows; without a prior it knows nothing."""

    def __init__(self, prior: Prior | None, codes: Codes) -> None:
        self._prior = prior
        self._codes = codes
        self._known: dict[Key, Prediction | None] = {}

    def _ask(self, rows: Array) -> list[Prediction | None]:
        if self._prior is None:
            return [None] * len(rows)
        found = []
        for row in rows:
            parameters = self._codes.parameters(row)
            name = key(parameters)
            if name not in self._known:
                self._known[name] = self._prior(parameters)
            found.append(self._known[name])
        return found

    def runs(self, rows: Array) -> NDArray[np.bool_]:
        """False where the prior says that a row cannot run."""
        return np.array([said is None or said.runs for said in self._ask(rows)], dtype=bool)

    def logs(self, rows: Array, metric: str) -> Array:
        """The logarithm of the predicted metric; NaN where the prior says nothing of it."""
        values = [said.metrics.get(metric.partition("@")[0]) if said else None for said in self._ask(rows)]
        return np.array([np.nan if value is None else log([value])[0] for value in values])
