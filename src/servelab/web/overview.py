"""A study in a line: how far it is, and the best so far."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from servelab.lab.steps import planned_trials
from servelab.spec.trial import StudyRecord, StudyState
from servelab.store.rows import Summary
from servelab.store.store import Store


class StudyLine(BaseModel):
    """What a list of studies shows of one. Times are seconds since the epoch, ``best`` is in SI units."""

    id: str
    name: str
    state: StudyState
    message: str
    model: str
    engine: str
    simulated: bool
    objective: str
    best: float | None
    best_trial: int | None
    done: int
    planned: int
    trials: Mapping[str, int]
    verifications: Mapping[str, int]
    created_at: float
    finished_at: float | None


def study_lines(store: Store) -> list[StudyLine]:
    """All studies, the newest first."""
    return [study_line(store, store.get_study(row.id)) for row in store.list_studies()]


def study_line(store: Store, record: StudyRecord) -> StudyLine:
    """One study in numbers."""
    return line_of(record, store.summary(record.id))


def line_of(record: StudyRecord, summary: Summary) -> StudyLine:
    """One study in numbers that are known already."""
    study = record.study
    open_ones = sum(summary.counts.get(state, 0) for state in ("waiting", "running"))
    tried = sum(summary.counts.values())
    return StudyLine(
        id=record.id,
        name=study.name,
        state=record.state,
        message=record.message,
        model=study.model.name,
        engine=study.engine.name,
        simulated=study.simulated,
        objective=summary.objective,
        best=summary.best,
        best_trial=summary.best_trial,
        done=tried - open_ones,
        planned=max(tried, planned_trials(study)),
        trials=summary.counts,
        verifications=summary.verifications,
        created_at=record.created_at,
        finished_at=record.finished_at,
    )
