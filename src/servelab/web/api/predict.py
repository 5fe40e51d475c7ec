"""Latency models: their coefficients, and what they predict."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from servelab.lab.estimation import fit_study
from servelab.perf.asked import Brief, Simulated
from servelab.perf.forms import Form, Target, form_text
from servelab.perf.instant import Instant, instant
from servelab.perf.parameters import Parameters, file_data, parse_parameters
from servelab.perf.prediction import Prediction
from servelab.spec.errors import DocumentError
from servelab.store.store import Store
from servelab.web.api.problem import PROBLEMS
from servelab.web.api.studies import StudyId
from servelab.web.context import store_of
from servelab.web.simulation import simulate

router = APIRouter(prefix="/api/v1", tags=["predictions"], responses=PROBLEMS)
Here = Annotated[Store, Depends(store_of)]
EXAMPLE: JsonDict = {"study": "estimate-1a2b3", "rate": 12, "slo": ["ttft_mean <= 500ms"], "accelerator_hour_cost": 2.5}


class Question(Brief):
    """What to predict, of which coefficients: a study's, or those of a parameters.json."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    study: str | None = Field(default=None, max_length=64, description="id of a study whose measurements are fitted")
    parameters: dict[str, Any] | None = Field(default=None, description="the content of a parameters.json")
    method: Literal["closed_form", "simulate"] = Field(
        default="closed_form", description="means at once, or percentiles with intervals in some seconds"
    )


class Answer(BaseModel):
    """What is predicted, and not measured; of the method that was asked for."""

    closed_form: Instant | None = None
    simulation: Prediction | None = None


@router.get("/studies/{study_id}/coefficients", responses={200: {"content": {"application/yaml": {}}}})
def coefficients(
    study_id: StudyId,
    store: Here,
    trial: Annotated[
        int | None, Query(ge=0, le=2**31 - 1, description="default: the first that was measured", examples=[0])
    ] = None,
    form: Annotated[Form | None, Query(description="instead, YAML as the llm-d autoscaler reads it")] = None,
) -> Any:
    """Fit latency models to what a study measured at several levels of concurrency: a parameters.json."""
    parameters, _ = fit_study(store, store.get_study(study_id), trial)
    if form is None:
        return Response(json.dumps(file_data(parameters), allow_nan=False), media_type="application/json")
    return PlainTextResponse(form_text(form, parameters, Target()), media_type="application/yaml")


@router.post("/predict")
async def predict(question: Question, store: Here, request: Request) -> Answer:
    """Latency at a rate, the highest rate within the SLO, replicas, cost. Measures nothing."""
    parameters = await asyncio.to_thread(_parameters, question, store)
    if question.method == "closed_form":
        deployment = question.deployment(parameters)
        found = await asyncio.to_thread(instant, parameters, deployment, question.rate, question.bounds, question.price)
        return Answer(closed_form=found)
    asked = Simulated.model_validate(question.model_dump(include=set(Simulated.model_fields)))
    work = asyncio.ensure_future(simulate(parameters, asked))
    try:
        while not (await asyncio.wait((work,), timeout=1))[0]:
            if await request.is_disconnected():
                return Answer()  # to nobody
        return Answer(simulation=work.result())
    finally:
        work.cancel()


def _parameters(question: Question, store: Store) -> Parameters:
    if (question.study is None) == (question.parameters is None):
        raise DocumentError(("give exactly one of study and parameters",))
    if question.study is not None:
        store.study_state(question.study)  # a name, or the beginning of an id, is no id
        return fit_study(store, store.get_study(question.study))[0]
    return parse_parameters(json.dumps(question.parameters), "parameters")
