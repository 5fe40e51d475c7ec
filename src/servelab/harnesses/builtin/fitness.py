"""Whether the load that was asked for was really made, and whether the server kept up with it."""

from __future__ import annotations

from servelab.harnesses.builtin.part import Part
from servelab.harnesses.builtin.summary import client_health
from servelab.spec.load import LoadPoint
from servelab.spec.report import ClientHealth

MIN_RATE_SHARE = 0.95  # of the rate that was asked for: beyond it, the load was another one
FEWEST = 10  # requests by which a rate is judged


def fitness(part: Part) -> ClientHealth:
    """The verdict on the client; one that fell behind the rate that was due is not fit."""
    health = client_health(part.tally, part.lags, part.cpu, part.waited)
    number, due = part.asked
    if number < FEWEST or due <= 0:
        return health
    asked, achieved = number / due, number / max(due, part.last_sent)
    found = health.model_copy(update={"asked_rate": asked, "achieved_rate": achieved})
    if achieved >= MIN_RATE_SHARE * asked:
        return found
    reason = f"it sent {achieved:.3g} of {asked:.3g} req/s"
    return found.model_copy(update={"verdict": "saturated", "reasons": (*health.reasons, reason)})


def drift(part: Part, load: LoadPoint) -> tuple[str, ...]:
    """A warning where a constant open-loop load made latency grow to the end: its numbers depend on the length."""
    steady = load.open_loop and load.kind != "replay" and load.start is None
    if steady and part.settling.rising:
        return ("TTFT was still rising when the measurement ended: the server does not keep up with this rate",)
    return ()
