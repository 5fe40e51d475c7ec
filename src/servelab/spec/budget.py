"""What a study may cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from servelab.spec.base import Seconds, Spec

Positive = Annotated[Seconds, Field(gt=0)]


class Timeouts(Spec):
    """How long each stage of a trial may take, in seconds."""

    ready: Positive = 600.0
    measure: Positive = 3600.0
    stop: Positive = 30.0


class Verification(Spec):
    """The last act: the best few and the default measured again, in turn."""

    top: NonNegativeInt = Field(default=2, description="how many of the best to verify; 0 for none")
    rounds: PositiveInt = Field(default=3, description="how often each is deployed and measured again")


class Budget(Spec):
    """Limits of a study; it ends, verified, when the first is reached."""

    trials: PositiveInt = 20
    wall_time: Positive | None = None
    accelerator_minutes: Annotated[float, Field(gt=0)] | None = None
    parallel: PositiveInt = Field(default=1, description="trials at the same time")
    repeats: PositiveInt = Field(default=1, description="measurements of each load level per trial")
    retries: NonNegativeInt = Field(default=2, description="further attempts after a transient failure")
    screening: float = Field(
        default=0.25, ge=0, lt=1, description="share of a measurement that is made first; 0 for no screening"
    )
    timeouts: Timeouts = Timeouts()
    verification: Verification = Verification()
