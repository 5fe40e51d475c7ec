"""A study in a line: how far it is, and the best so far."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from servelab.lab.extent import extent
from servelab.spec.trial import StudyRecord, StudyState
from servelab.store.rows import Summary
from servelab.store.store import Store


class StudyLine(BaseModel):
    """What a list of studies shows of one. Times are seconds since the epoch, ``best`` is in SI units.

    ``done`` of ``planned`` trials of the search have ended, ``verified`` of ``to_verify`` of the verification;
    ``share``: of both together.
    """

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
    verified: int
    to_verify: int
    share: float
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
    reached = extent(record, summary)
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
        done=reached.searched,
        planned=reached.to_search,
        verified=reached.verified,
        to_verify=reached.to_verify,
        share=reached.share,
        trials=summary.counts,
        verifications=summary.verifications,
        created_at=record.created_at,
        finished_at=record.finished_at,
    )
