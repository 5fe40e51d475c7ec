"""What REST answers when something is wrong: what happened, and what to do next."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from servelab.spec.errors import (
    ClusterError,
    DeployError,
    DocumentError,
    MeasureError,
    NotFoundError,
    ServelabError,
    StoreError,
)

STATUS: tuple[tuple[type[ServelabError], int], ...] = (
    (NotFoundError, 404),
    (DocumentError, 422),
    (StoreError, 503),
    (ClusterError, 502),
    (DeployError, 409),
    (MeasureError, 422),
)


class Problem(BaseModel):
    """An error; ``problems`` are the single faults of a document, each with its place."""

    message: str
    remedy: str = ""
    problems: tuple[str, ...] = ()


PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in (
        (404, "There is no such thing."),
        (409, "It cannot be done in this state."),
        (422, "What was sent cannot be used."),
        (503, "The store cannot be used."),
    )
}
"""The errors that every route may answer with."""


def add_problems(app: FastAPI) -> None:
    """Answer our own errors as ``Problem``."""

    @app.exception_handler(ServelabError)
    async def answer(_: Request, error: ServelabError) -> JSONResponse:
        status = next((code for kind, code in STATUS if isinstance(error, kind)), 409)
        return JSONResponse(problem_of(error).model_dump(mode="json"), status)


def problem_of(error: ServelabError) -> Problem:
    """An error of ours as data."""
    problems = error.problems if isinstance(error, DocumentError) else ()
    return Problem(message=error.message, remedy=error.remedy, problems=problems)
