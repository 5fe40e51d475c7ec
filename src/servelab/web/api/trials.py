"""Trials: list, one with its measurements, its log, its records."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse, PlainTextResponse, Response

from servelab.lab.logs import TAIL, engine_log_file, log_tail
from servelab.lab.records import records_file
from servelab.spec.errors import NotFoundError
from servelab.spec.trial import Measurement, Phase, Trial
from servelab.store.store import Store
from servelab.web.api.problem import PROBLEMS
from servelab.web.api.studies import Here, StudyId
from servelab.web.context import Context, context_of
from servelab.web.trials import TrialPage, Wanted, trial_page

router = APIRouter(prefix="/api/v1/studies/{study_id}/trials", tags=["trials"], responses=PROBLEMS)
Number = Annotated[int, Path(ge=0, le=2**31 - 1, description="number of the trial", examples=[7])]
Small = Annotated[int, Query(ge=0, le=10_000)]


@router.get("")
async def list_(
    study_id: StudyId,
    here: Annotated[Context, Depends(context_of)],
    wanted: Annotated[Wanted, Query()],
) -> TrialPage:
    """A part of a study's trials, filtered and sorted."""
    record = await asyncio.to_thread(here.store.get_study, study_id)
    points = await here.live.points(record.id)
    return await asyncio.to_thread(trial_page, here.store, record, points, wanted)


@router.get("/{number}")
def show(study_id: StudyId, number: Number, store: Here) -> Trial:
    """One trial with all its measurements, each with its Benchmark Report v0.2 under ``standard``."""
    return _trial(store, study_id, number)


@router.get("/{number}/reports")
def reports(study_id: StudyId, number: Number, store: Here, response: Response) -> list[Measurement]:
    """The measurements of a trial, as a file."""
    found = _trial(store, study_id, number)
    response.headers["Content-Disposition"] = f'attachment; filename="{study_id}-trial-{number}-reports.json"'
    return list(found.measurements)


@router.get("/{number}/log", response_class=PlainTextResponse)
def log(
    study_id: StudyId,
    number: Number,
    store: Here,
    tail: Annotated[
        int | None,
        Query(
            ge=1,
            le=16 * TAIL,
            description="bytes from the end, in whole lines; default: the whole file",
            examples=[TAIL],
        ),
    ] = None,
) -> Response:
    """The newest engine log of a trial on this machine."""
    found = _trial(store, study_id, number, light=True)
    path = engine_log_file(study_id, found.number)
    if tail is not None:
        return PlainTextResponse(log_tail(study_id, found.number, tail))
    return FileResponse(path, media_type="text/plain; charset=utf-8", filename=f"{study_id}-trial-{number}-{path.name}")


@router.get("/{number}/records", response_class=FileResponse)
def records(
    study_id: StudyId, number: Number, store: Here, phase: Phase = "full", point: Small = 0, repeat: Small = 0
) -> Response:
    """The record of each request of a measurement, JSON lines in gzip."""
    found = _trial(store, study_id, number)
    place = (phase, point, repeat)
    made = next((m for m in found.measurements if (m.phase, m.point, m.repeat) == place), None)
    if made is None:
        raise NotFoundError(
            f"trial {number} of {study_id} has no measurement {phase}-{point}-{repeat}",
            f"Its measurements are listed at /api/v1/studies/{study_id}/trials/{number}.",
        )
    name = f"{study_id}-trial-{number}-{phase}-{point}-{repeat}.jsonl.gz"
    return FileResponse(records_file(study_id, number, made), media_type="application/gzip", filename=name)


def _trial(store: Store, study_id: str, number: int, light: bool = False) -> Trial:
    if not light:
        return store.trial(study_id, number)
    found = store.trials(study_id, numbers=[number])
    return found[0] if found else store.trial(study_id, number)
