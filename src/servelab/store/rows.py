"""From rows to the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Row

if TYPE_CHECKING:  # see store.py
    from servelab.spec.trial import Event, Measurement, StudyRecord, StudyState, Trial


class StudyRow(NamedTuple):
    """A study without its document."""

    id: str
    name: str
    state: StudyState
    message: str
    created_at: float
    finished_at: float | None


@dataclass(frozen=True)
class Summary:
    """A study in numbers: trials by state, and the best of the search that keeps every constraint."""

    objective: str
    counts: Mapping[str, int]
    verifications: Mapping[str, int]
    best: float | None
    best_trial: int | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summary_from(
    objective: Mapping[str, Any], counts: Sequence[tuple[str, str, int]], best: tuple[int, float] | None
) -> Summary:
    """Put the answers of the summary's queries together."""
    searched: dict[str, int] = {}
    verified: dict[str, int] = {}
    for kind, state, count in counts:
        of_kind = verified if kind == "verification" else searched
        of_kind[state] = of_kind.get(state, 0) + count
    return Summary(
        objective=str(objective.get("metric", "")),
        counts=searched,
        verifications=verified,
        best=best[1] if best else None,
        best_trial=best[0] if best else None,
    )


def study_from(row: StudyRow, document: str) -> StudyRecord:
    """A study from its row and its document."""
    from servelab.spec.study import Study
    from servelab.spec.trial import StudyRecord

    fields = {name: value for name, value in row._asdict().items() if name != "name"}
    return StudyRecord(study=Study.model_validate_json(document), **fields)


def measurement_from(row: Row[Any]) -> Measurement:
    """A measurement from its row."""
    from servelab.spec.trial import Measurement

    place = {"phase": row.phase, "point": row.point, "repeat": row.repeat, "report": json.loads(row.report)}
    return Measurement.model_validate(place)


def trial_from(row: Row[Any], measurements: tuple[Measurement, ...]) -> Trial:
    """A trial from its row and measurements."""
    from servelab.spec.trial import Trial

    return Trial.model_validate(
        {
            "number": row.number,
            "parameters": row.parameters,
            "kind": row.kind,
            "verifies": row.verifies,
            "round": row.round,
            "state": row.state,
            "attempts": row.attempts,
            "timings": row.timings,
            "failure": row.failure,
            "measurements": measurements,
            "outcome": row.outcome,
            "feasible": row.feasible,
            "note": row.note,
            "command": row.command,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
        }
    )


def event_from(row: Row[Any]) -> Event:
    """An event from its row."""
    from servelab.spec.trial import Event

    return Event(id=row.id, study=row.study, trial=row.trial, time=row.time, kind=row.kind, data=row.data)
