"""How long a step takes. No I/O: the same seed gives the same times."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from servelab.engines.simulated.profile import Profile
from servelab.engines.simulated.scheduler import Step

NOISE = 0.02  # standard deviation of the logarithm of a step's length
EAGER_S = 0.003  # seconds that a step costs more without captured graphs


@dataclass(frozen=True)
class Execution:
    """How the model is run: ``devices`` in tensor parallel, bytes of a cached value, without captured graphs."""

    devices: int = 1
    kv_bytes: float = 2.0
    eager: bool = False


def step_seconds(profile: Profile, execution: Execution, step: Step) -> float:
    """Seconds of a step without noise: work divided among the devices, and what their links cost.

    ``base + prefill * prompt tokens + decode * sequences + context * cached tokens``, the last in proportion to the
    bytes of a cached value; each doubling of the devices adds ``link``. The form is that of Vidur and of vLLM's own
    roofline (weights read once a step, prompts bound by compute, attention over the cache bound by bandwidth).
    """
    work = profile.base_s + profile.prefill_s * step.prefill + profile.decode_s * step.decode
    work += profile.context_s * step.context * execution.kv_bytes / 2
    return work / execution.devices + profile.link_s * math.log2(execution.devices) + EAGER_S * execution.eager


class Pace:
    """Times of steps with noise that multiplies."""

    def __init__(self, profile: Profile, execution: Execution, seed: int) -> None:
        self._profile = profile
        self._execution = execution
        self._rng = random.Random(seed)

    def seconds(self, step: Step) -> float:
        """Seconds that this step takes."""
        return step_seconds(self._profile, self._execution, step) * math.exp(self._rng.gauss(0.0, NOISE))
