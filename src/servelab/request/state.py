"""How far a dialog has come, and what it waits for."""

from __future__ import annotations

from enum import StrEnum

from servelab.request.facts import Facts
from servelab.request.said import Request, Understanding
from servelab.request.settle import Settled, settle
from servelab.spec.base import Spec


class Step(StrEnum):
    """What the dialog waits for."""

    REQUEST = "request"
    QUESTIONS = "questions"
    WORKLOAD = "workload"
    VERIFY = "verify"
    CONFIRM = "confirm"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"


class State(Spec):
    """A dialog as far as it has come."""

    facts: Facts
    step: Step = Step.REQUEST
    understanding: Understanding = Understanding(request=Request())
    kept: tuple[str, ...] = ()
    """Doubts that the person knows of and leaves as they are."""
    varied: bool = False
    """Whether the lengths of a workload of one's own were looked at."""
    verified: bool = False
    """Whether the engine was looked at."""

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected."""
        return self.step in (Step.ACCEPTED, Step.CANCELLED)

    @property
    def settled(self) -> Settled:
        """The experiment as far as it is decided."""
        return settle(self.understanding, self.facts)
