"""From what went wrong in an attempt to a Failure that people and samplers can use."""

from __future__ import annotations

from typing import Literal

from servelab.engines.base import Engine
from servelab.platforms.base import DiagnosedError, ExitedError, Running
from servelab.spec.deployment import Failure
from servelab.spec.errors import DeployError, MeasureError, NoAnswerError, UnreachableError

LOG_LINES = 2000  # a cause may stand above a long traceback

Stage = Literal["launch", "ready", "measure", "stop"]


class DeploymentEndedError(ExitedError):
    """The engine ended while it was being measured."""


Misfire = (DeployError, DiagnosedError, MeasureError, ExitedError, TimeoutError)
"""What an attempt may end with: all of them findings about the configuration, none of them ours to crash on."""


def explain(engine: Engine, error: BaseException, stage: Stage, running: Running | None) -> Failure:
    """Say why an attempt failed: by the engine's rules over its log, else by what is known of the error."""
    log = running.log_tail(LOG_LINES) if running is not None else ""
    if isinstance(error, DiagnosedError):
        return error.failure
    code = error.exit.code if isinstance(error, ExitedError) else None
    if isinstance(error, UnreachableError):
        return Failure(kind="unreachable", stage="ready", message=error.message, remedy=error.remedy)
    if isinstance(error, DeployError):
        return Failure(kind="bad_argument", stage="launch", message=error.message, remedy=error.remedy)
    known = engine.diagnose(log, code) if running is not None else None
    if known is not None:
        return known.model_copy(update={"stage": stage})
    if isinstance(error, ExitedError):
        return Failure(
            kind="crash",
            stage=stage,
            message=f"the engine ended by itself ({_how(code)})",
            remedy="Read the engine's log (servelab logs), and try its command by hand.",
            evidence=_tail(log),
        )
    if isinstance(error, MeasureError):
        return Failure(
            kind="all_requests_failed" if isinstance(error, NoAnswerError) else "no_measurement",
            stage=stage,
            message=error.message,
            remedy=error.remedy,
            evidence=_tail(log),
        )
    if stage == "measure":
        return Failure(
            kind="measure_timeout",
            stage=stage,
            message="the measurement did not end in time",
            remedy="The engine may hang: read its log; or raise budget.timeouts.measure, or measure fewer requests.",
            evidence=_tail(log),
        )
    return Failure(
        kind="ready_timeout",
        stage=stage,
        message="the engine was not ready in time",
        remedy="Raise budget.timeouts.ready if the model loads slowly; else read the engine's log.",
        evidence=_tail(log),
    )


def _how(code: int | None) -> str:
    if code is None:
        return "exit code unknown"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _tail(log: str, lines: int = 12) -> str:
    return "\n".join(log.splitlines()[-lines:])
