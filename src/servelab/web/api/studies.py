"""Studies: list, create, look at, steer, delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from servelab.lab.background import start_in_background
from servelab.lab.control import cancel_study, delete_study, pause_study
from servelab.lab.validate import check_document
from servelab.spec.trial import StudyRecord, StudyState
from servelab.store.store import Store
from servelab.web.api.events import STUDY_ID
from servelab.web.api.problem import PROBLEMS
from servelab.web.context import store_of
from servelab.web.overview import StudyLine, study_line, study_lines

router = APIRouter(prefix="/api/v1/studies", tags=["studies"], responses=PROBLEMS)
Here = Annotated[Store, Depends(store_of)]
DOCUMENT = """name: chat
model: smollm2-135m
engine: {name: llamacpp, arguments: {ctx_size: 4096}}
workload: {prompt: 64, output: 32}
load: {concurrency: 4, requests: 16}
space: {parameters: {parallel: [1, 2, 4]}}
objectives: [maximize output_throughput]
constraints: [ttft_p95 <= 2s]
"""


def existing(
    study_id: Annotated[str, Path(pattern=STUDY_ID, description="id of a study", examples=["chat-1a2b3"])], store: Here
) -> str:
    """The id of a study that there is: a name, or the beginning of an id, is none, since it may mean another later.

    Raises:
        NotFoundError: there is none.
    """
    store.study_state(study_id)
    return study_id


StudyId = Annotated[str, Depends(existing)]


class NewStudy(BaseModel):
    """A study to create, as a person writes it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    document: str = Field(max_length=1 << 20, description="the study, YAML or JSON", examples=[DOCUMENT])
    start: bool = Field(default=True, description="whether to run it at once", examples=[False])


class Created(BaseModel):
    """The study that was created."""

    id: str
    state: StudyState
    warnings: tuple[str, ...] = ()


@router.get("")
def list_(store: Here) -> list[StudyLine]:
    """All studies, the newest first."""
    return study_lines(store)


@router.post("", status_code=201)
def create(new: NewStudy, store: Here) -> Created:
    """Check a study, store it, and run it in a process of its own."""
    checked = check_document(new.document)
    record = store.create_study(checked.required())
    if new.start:
        start_in_background(store, record.id)
    return Created(id=record.id, state=record.state, warnings=checked.warnings)


@router.get("/{study_id}")
def show(study_id: StudyId, store: Here) -> StudyLine:
    """A study in numbers."""
    return study_line(store, store.get_study(study_id))


@router.get("/{study_id}/document")
def document(study_id: StudyId, store: Here, response: Response) -> dict[str, Any]:
    """The study's document in its full form, as a file."""
    response.headers["Content-Disposition"] = f'attachment; filename="{study_id}.json"'
    return store.get_study(study_id).study.model_dump(mode="json")


@router.delete("/{study_id}", status_code=204)
def delete(study_id: StudyId, store: Here) -> Response:
    """Remove a study that nobody works on, with its logs."""
    delete_study(store, study_id)
    return Response(status_code=204)


@router.post("/{study_id}/pause")
def pause(study_id: StudyId, store: Here) -> StudyLine:
    """Let the running trials finish, and start no more."""
    return _after(store, pause_study(store, study_id))


@router.post("/{study_id}/resume")
def resume(study_id: StudyId, store: Here) -> StudyLine:
    """Start it, or go on where it stopped."""
    return _after(store, start_in_background(store, study_id))


@router.post("/{study_id}/cancel")
def cancel(study_id: StudyId, store: Here) -> StudyLine:
    """Stop it for good; what it measured stays."""
    return _after(store, cancel_study(store, study_id))


def _after(store: Store, record: StudyRecord) -> StudyLine:
    return study_line(store, store.get_study(record.id))
