"""Which configurations run at all: a Gaussian process on the outcomes, crash by crash cause.

Each cause of failure is modelled for itself, since each lives in a corner of its own: one more crash for memory
says nothing of a bad combination of switches. A configuration runs when no cause strikes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from servelab.search.gaussian import Array, Beliefs, GaussianProcess

FAILS, RUNS = -1.0, 1.0
KNOWN_TO_RUN = 0.5  # latent mean before anything is known: most configurations near a working one work
PRIOR_SAYS_FAILS = -1.0
BELIEFS = Beliefs(amplitude=0.8, amplitude_spread=0.3, noise=0.15, noise_spread=0.3, constant=0.3)
SOFTNESS = 0.3  # standard deviation of the step between failing and running


class RunsModel:
    """Learns from rows (n, width) and the causes of their failures (None for one that ran)."""

    def __init__(self, rows: Array, causes: Sequence[str | None], categorical: NDArray[np.bool_]) -> None:
        self._processes = []
        none = np.zeros(len(rows))
        for cause in sorted({cause for cause in causes if cause is not None}):
            struck = np.array([found == cause for found in causes])
            # Another cause's failure says nothing of this one.
            telling = struck | np.array([found is None for found in causes])
            outcome = np.where(struck, FAILS, RUNS) - KNOWN_TO_RUN
            self._processes.append(
                GaussianProcess(rows[telling], outcome[telling], categorical, BELIEFS, none[telling])
            )

    def probability(self, rows: Array) -> Array:
        """The probability that each row runs, shape (n,)."""
        found = np.ones(len(rows))
        for process in self._processes:
            mean, deviation = process.predict(rows)
            found *= ndtr((mean + KNOWN_TO_RUN) / np.sqrt(deviation**2 + SOFTNESS**2))
        return found
