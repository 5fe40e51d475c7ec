"""From fitted models to the time of a step, which the simulator needs."""

from __future__ import annotations

from dataclasses import dataclass

from servelab.batching.steptime import LinearStepTime, StepTime
from servelab.perf.models import DecodeModel, Lengths, LinearPrefill, PrefillModel, Tokenwise
from servelab.perf.models import StepTime as StepModel

SHORTEST = 1e-6  # seconds: coefficients drawn from a wide interval may ask for less than nothing


@dataclass(frozen=True)
class Requested:
    """What a request costs: in the engine's steps, and in seconds outside of them (network, queues of the server)."""

    time: StepTime
    overhead: float = 0.0


@dataclass(frozen=True)
class BatchStepTime:
    """A step of a model that tells ITL by the batch, as ``linear-batch`` does.

    Its ITL is a mean over steps in some of which prompts were computed: at a steady batch, ``batch / output`` prompts a
    step. Their time is taken out (``joining`` seconds a sequence), and put where the prompts are.
    """

    decode: DecodeModel
    prefill_s: float
    joining: float

    def seconds(self, prefill: float, decode: float, context: float) -> float:
        """Seconds of a step, whatever the context."""
        del context
        alone = self.decode.itl(decode, ANY_LENGTH) - self.joining * decode
        return max(SHORTEST, alone + self.prefill_s * prefill)


ANY_LENGTH = Lengths(0, 0)
"""The models by batch do not look at it."""


def requested(decode: DecodeModel, prefill: PrefillModel | None, fitted: Lengths | None) -> Requested:
    """The step time that these models imply; ``fitted`` are the lengths of the requests that they were fitted to."""
    if isinstance(decode, StepModel):
        return Requested(LinearStepTime(decode.base, decode.prefill, decode.decode, decode.context))
    if isinstance(decode, Tokenwise):
        return Requested(_tokenwise(decode))
    if not isinstance(prefill, LinearPrefill):
        return Requested(BatchStepTime(decode, 0.0, 0.0))
    per_token = max(0.0, prefill.delta)
    joining = per_token * fitted.prompt / fitted.output if fitted is not None and fitted.output else 0.0
    # Decoding cannot take less than its share with nothing else: a fit with little batch in it may say so.
    slope = decode.itl(2, ANY_LENGTH) - decode.itl(1, ANY_LENGTH)
    steps = BatchStepTime(decode, per_token, min(joining, max(0.0, slope)))
    return Requested(steps, max(0.0, prefill.gamma - steps.seconds(0, 0, 0)))


def _tokenwise(model: Tokenwise) -> LinearStepTime:
    """Each token that is computed takes ``beta``, each that is read ``gamma``, and so does each of a prompt."""
    return LinearStepTime(model.alpha, model.beta, model.beta, model.gamma)
