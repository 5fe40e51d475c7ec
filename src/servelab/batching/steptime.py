"""How long a step takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class StepTime(Protocol):
    """A model of the time that a step takes."""

    def seconds(self, prefill: float, decode: float, context: float) -> float:
        """Seconds of a step with so many prompt tokens, decoding sequences, and cached tokens that are read.

        In ``context`` it is linear: the time of many steps is then that of as many at their mean context.
        """
        ...


@dataclass(frozen=True)
class LinearStepTime:
    """``base + prefill * prompt tokens + decode * sequences + context * cached tokens``, all in seconds.

    The form of Vidur (Agrawal et al. 2024) and of vLLM's own roofline: weights are read once a step, prompts are bound
    by compute, attention over the cache by bandwidth.
    """

    base_s: float
    prefill_s: float = 0.0
    decode_s: float = 0.0
    context_s: float = 0.0

    def seconds(self, prefill: float, decode: float, context: float) -> float:
        """Seconds of a step."""
        return self.base_s + self.prefill_s * prefill + self.decode_s * decode + self.context_s * context
