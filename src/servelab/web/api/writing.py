"""Writing a study: is it right, and what would it do? Nothing is started."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from servelab.catalog.written import study_text
from servelab.lab.pace import Pace
from servelab.lab.plan import Plan
from servelab.lab.validate import check_document
from servelab.spec.errors import ServelabError
from servelab.spec.finding import Finding
from servelab.spec.study import Study
from servelab.store.store import Store
from servelab.web.api.problem import PROBLEMS
from servelab.web.context import store_of
from servelab.web.preview import LONGEST, preview

router = APIRouter(prefix="/api/v1", tags=["writing"], responses=PROBLEMS)

EXAMPLE = """\
name: first
model: smollm2-135m
engine: llamacpp
workload: {prompt: 64, output: 16}
load: {concurrency: 4, requests: 20}
space: {parameters: {parallel: [1, 2, 4]}}
objectives: [minimize ttft_p50]
"""


class Document(BaseModel):
    """A study as a person writes it."""

    document: str = Field(max_length=LONGEST, description="the study, YAML or JSON", examples=[EXAMPLE])


class FaultLine(BaseModel):
    """What is wrong at keys and indexes from the top of the document, and where that is written."""

    message: str
    path: tuple[str | int, ...]
    line: int | None
    column: int | None


class Validated(BaseModel):
    """Whether a document holds a study that can be run; ``document`` is that study in short forms."""

    valid: bool
    faults: tuple[FaultLine, ...] = ()
    warnings: tuple[str, ...] = ()
    remedy: str = ""
    document: str | None = None


class Planned(BaseModel):
    """What a study would do, and what it needs of this machine, as far as that shows at once."""

    plan: Plan
    pace: Pace | None = Field(description="how long it will take, where the like of it was run before")
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]


@router.post("/validate")
def validate(sent: Document) -> Validated:
    """Check a document in full; faults are told, with their places, not refused."""
    found = check_document(sent.document)
    if found.study is not None:
        return Validated(valid=True, warnings=found.warnings, document=study_text(found.study))
    lines = (FaultLine(message=f.message, path=f.path, line=f.line, column=f.column) for f in found.faults)
    return Validated(valid=False, faults=tuple(lines), remedy=found.remedy)


@router.post("/plan")
def plan(sent: Document, store: Annotated[Store, Depends(store_of)]) -> Planned:
    """Trials, first configurations, commands or manifests, time, and what this machine lacks."""
    found = preview(store, sent.document)
    found.checked.required()
    if found.plan is None:
        raise found.trouble or ServelabError("this study cannot be planned", "Try: servelab plan")
    return Planned(plan=found.plan, pace=found.pace, warnings=found.checked.warnings, findings=tuple(found.findings))


@router.get("/schema")
def schema() -> dict[str, Any]:
    """The JSON Schema of a study, for editors and other programs."""
    return Study.model_json_schema()
