"""How long a step takes. No I/O: the same seed gives the same times."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from servelab.batching.scheduler import Step
from servelab.batching.steptime import LinearStepTime
from servelab.engines.simulated.profile import Profile

NOISE = 0.02  # standard deviation of the logarithm of a step's length
EAGER_S = 0.003  # seconds that a step costs more without captured graphs


@dataclass(frozen=True)
class Execution:
    """How the model is run: ``devices`` in tensor parallel, bytes of a cached value, without captured graphs."""

    devices: int = 1
    kv_bytes: float = 2.0
    eager: bool = False


def step_time(profile: Profile, execution: Execution) -> LinearStepTime:
    """The time of a step without noise: work divided among the devices, and what their links cost.

    Reading the cache takes time in proportion to the bytes of a cached value; each doubling of the devices adds
    ``link_s``.
    """
    devices = execution.devices
    return LinearStepTime(
        base_s=profile.base_s / devices + profile.link_s * math.log2(devices) + EAGER_S * execution.eager,
        prefill_s=profile.prefill_s / devices,
        decode_s=profile.decode_s / devices,
        context_s=profile.context_s * execution.kv_bytes / 2 / devices,
    )


class Pace:
    """Times of steps with noise that multiplies."""

    def __init__(self, profile: Profile, execution: Execution, seed: int) -> None:
        self._time = step_time(profile, execution)
        self._rng = random.Random(seed)

    def seconds(self, step: Step) -> float:
        """Seconds that this step takes."""
        seconds = self._time.seconds(step.prefill, step.decode, step.context)
        return seconds * math.exp(self._rng.gauss(0.0, NOISE))
