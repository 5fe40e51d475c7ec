"""What happens in a study at this moment, in words."""

from __future__ import annotations

from collections.abc import Sequence

from servelab.spec.trial import Event, StudyState
from servelab.store.store import Store
from servelab.store.views import TrialPoint

SHOWN = 8  # trials that run at once


def running(points: Sequence[TrialPoint]) -> list[int]:
    """The trials that run."""
    return [point.number for point in points if point.state == "running"]


def doings(store: Store, study_id: str, state: StudyState, points: Sequence[TrialPoint]) -> list[str]:
    """A sentence for each trial that runs, or one for the study."""
    numbers = running(points)
    if not numbers:
        return [_IDLE[state]] if state in _IDLE else []
    last = store.latest(study_id, numbers[:SHOWN])
    more = [f"and {len(numbers) - SHOWN} more trials run"] if len(numbers) > SHOWN else []
    return [f"Trial {number}: {said(last.get(number))}" for number in numbers[:SHOWN]] + more


def said(event: Event | None) -> str:
    """What an event of a trial means for it."""
    if event is None:
        return "begins"
    data = {"phase": "", "load": "", "seconds": "", "text": "", **event.data}
    short = ", a short look first" if data["phase"] == "screen" else ""
    return {
        "claimed": "is being prepared",
        "starting": "the engine starts",
        "waiting": str(data["text"]),
        "ready": f"the engine is up after {data['seconds']} s",
        "measuring": f"being measured at {data['load']}{short}",
        "measured": "measured once; goes on",
        "remeasured": "measured again, since the load generator was too slow",
    }.get(event.kind, event.kind)


_IDLE: dict[str, str] = {
    "waiting": "Not started yet.",
    "running": "The next configuration is being chosen.",
    "verifying": "The best are about to be measured again.",
}
