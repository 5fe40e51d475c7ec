"""What a study says: summary, recommendation, report and exports."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel

from servelab.report.archive import zipped
from servelab.report.cost import Cost, serving_costs
from servelab.report.digest import Digest, digest
from servelab.report.exports import export_texts, report_json, trials_csv
from servelab.report.html import report_html
from servelab.report.next_steps import next_steps
from servelab.report.offers import FORMS, Offer, offers
from servelab.report.recommend import Form, Recommendation, recommend_from
from servelab.report.summary import summary_data
from servelab.spec.trial import StudyRecord, Trial
from servelab.store.store import Store
from servelab.web.api.problem import PROBLEMS
from servelab.web.api.studies import StudyId
from servelab.web.context import store_of
from servelab.web.judging import judge

router = APIRouter(prefix="/api/v1/studies/{study_id}", tags=["results"], responses=PROBLEMS)

REPORT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    )
)
"""The report is a page by itself, with text of models and engines in it: it may do nothing at all."""


class Advice(BaseModel):
    """What to serve with, in every form there is, and what it costs where a price is given."""

    recommendation: Recommendation
    forms: tuple[Offer, ...]
    costs: tuple[Cost, ...] = ()
    next_steps: tuple[str, ...] = ()


def found_study(study_id: StudyId, store: Annotated[Store, Depends(store_of)]) -> tuple[StudyRecord, list[Trial]]:
    """A study with its trials and their measurements; a dependency of FastAPI."""
    record = store.get_study(study_id)
    return record, store.trials(record.id, with_reports=True)


Found = Annotated[tuple[StudyRecord, list[Trial]], Depends(found_study)]
Price = Annotated[
    float | None, Query(ge=0, le=1e6, description="of one accelerator and hour, in any currency", examples=[2.5])
]


@router.get("/report")
def report(found: Found) -> dict[str, Any]:
    """Verdict, recommendation and what was done, as `servelab report --json` prints them."""
    return summary_data(*found)


@router.get(
    "/recommendation",
    response_model=Advice,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def recommendation(
    study_id: StudyId,
    store: Annotated[Store, Depends(store_of)],
    form: Annotated[Form | None, Query(description="answer with the text of this form alone")] = None,
    accelerator_hour_cost: Price = None,
) -> Response:
    """How to serve: JSON with every form, or the text of one."""
    record = store.get_study(study_id)
    made = judge(store, record, store.points(record.id))
    advice = recommend_from(made)
    if form is not None:
        return _file(PlainTextResponse(advice.form(form)), FORMS[form].file)
    return JSONResponse(_advice(made, advice, accelerator_hour_cost).model_dump(mode="json"))


def _advice(made: Digest, advice: Recommendation, price: float | None) -> Advice:
    costs = () if price is None else serving_costs(made, price)
    return Advice(recommendation=advice, forms=offers(advice), costs=costs, next_steps=next_steps(made))


@router.get("/report.html", response_class=HTMLResponse)
def page(found: Found) -> HTMLResponse:
    """The report as one page without a script, to look at or to keep."""
    return HTMLResponse(report_html(digest(*found)), headers={"Content-Security-Policy": REPORT_POLICY})


@router.get("/trials.csv", response_class=PlainTextResponse, responses={200: {"content": {"text/csv": {}}}})
def csv(found: Found) -> Response:
    """A row for each trial, for a spreadsheet."""
    text = trials_csv(digest(*found))
    return _file(PlainTextResponse(text, media_type="text/csv"), f"{found[0].id}-trials.csv")


@router.get("/export.json")
def json(found: Found) -> Response:
    """Everything in one document; see report.json in docs/report.md."""
    text = report_json(*found)
    return _file(Response(text, media_type="application/json"), f"{found[0].id}.json")


@router.get("/export.zip", response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}})
def archive(found: Found) -> Response:
    """What `servelab export` writes: trials.csv, report.json, a Benchmark Report v0.2 for each measurement."""
    study_id = found[0].id
    pieces = zipped(export_texts(*found), study_id)
    return _file(StreamingResponse(pieces, media_type="application/zip"), f"{study_id}.zip")


def _file(answer: Response, name: str) -> Response:
    """An answer that a browser saves under this name; ids and our own file names need no quoting."""
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
