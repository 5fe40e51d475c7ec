"""A study in a line: how far it is, and the best so far."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from servelab.lab.extent import extent
from servelab.spec.errors import NotFoundError
from servelab.spec.trial import StudyRecord, StudyState
from servelab.store.rows import Summary
from servelab.store.store import Store
from servelab.web.live import KEPT, Live


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
    return list(_read(store, [row.id for row in store.list_studies()]).values())


def _read(store: Store, studies: Sequence[str]) -> dict[str, StudyLine]:
    """Lines by id; without those of studies that are deleted."""
    found = {}
    for study in studies:
        try:
            line = study_line(store, store.get_study(study))
        except NotFoundError:
            continue
        found[line.id] = line
    return found


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


class Overview:
    """The lines of all studies, shared by all who look: only those are read again to which something happened."""

    def __init__(self, store: Store, live: Live) -> None:
        self._store = store
        self._live = live
        self._lines: dict[str, StudyLine] | None = None
        self._after = 0
        self._reading = asyncio.Lock()

    async def lines(self) -> list[StudyLine]:
        """All studies, the newest first.

        Raises:
            StoreError: the store cannot be read.
        """
        async with self._reading:
            if self._lines is None or self._live.last - self._after > KEPT:
                after = self._live.last
                found = await asyncio.to_thread(study_lines, self._store)
                self._lines, self._after = {line.id: line for line in found}, after
            newest = self._live.last
            while self._after < newest and (events := await self._live.since(self._after)):
                changed = {event.study for event in events}
                read = await asyncio.to_thread(_read, self._store, sorted(changed))
                kept = {study: line for study, line in self._lines.items() if study not in changed}
                self._lines, self._after = kept | read, events[-1].id
            return sorted(self._lines.values(), key=lambda line: (-line.created_at, line.id))
