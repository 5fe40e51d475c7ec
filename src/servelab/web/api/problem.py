"""What REST answers when something is wrong: what happened, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import Receive, Scope, Send

from servelab.guides.parse import GuideError
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
    (GuideError, 422),
    (StoreError, 503),
    (ClusterError, 502),
    (DeployError, 409),
    (MeasureError, 422),
)


class Problem(BaseModel):
    """An error; ``problems`` are the single faults of a document, each with its place."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "message": "there is no study 'chat'",
                "remedy": "List them: servelab status",
                "problems": [],
            }
        }
    )

    message: str
    remedy: str = ""
    problems: tuple[str, ...] = ()


def _described(texts: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": Problem, "description": text} for code, text in texts.items()}


PROBLEMS = _described(
    {
        404: "There is no such thing.",
        409: "It cannot be done in this state.",
        422: "What was sent cannot be used.",
        502: "The cluster cannot be used.",
        503: "The store cannot be used.",
    }
)
"""The errors that every route may answer with."""

REFUSALS = _described(
    {
        400: "The request cannot be read.",
        401: "A token is asked for.",
        403: "The request comes from a page of another site.",
        405: "The method is not one of this path's.",
        413: "The body is too large.",
        421: "The server has another name than the request says.",
        429: "Too many requests; Retry-After says when there is room again.",
        500: "An error that was not expected; the server's log has it.",
    }
)
"""What every request may be refused with before it comes to a route."""


class Application(FastAPI):
    """An application whose every error is described as ``Problem``, whatever else a route answers with."""

    def openapi(self) -> dict[str, Any]:
        """The description of REST, made once."""
        fresh = self.openapi_schema is None
        found = super().openapi()
        for path in found["paths"].values() if fresh else ():
            for operation in path.values():
                for code, answer in operation["responses"].items():
                    if code.startswith(("4", "5")):
                        answer["content"] = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        return found


def add_problems(app: FastAPI) -> None:
    """Answer every error under /api as ``Problem``."""

    @app.exception_handler(ServelabError)
    async def _ours(_: Request, error: ServelabError) -> JSONResponse:
        status = next((code for kind, code in STATUS if isinstance(error, kind)), 409)
        return _answer(problem_of(error), status)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = tuple(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        return _answer(Problem(message="what was sent cannot be used", problems=faults), 422)

    @app.exception_handler(HTTPException)
    async def _refused(_: Request, error: HTTPException) -> JSONResponse:
        return _answer(Problem(message=str(error.detail)), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def _unexpected(_: Request, __: Exception) -> JSONResponse:
        said = Problem(message="an error that servelab did not expect", remedy="The log of the server has it.")
        return _answer(said, 500)

    async def nowhere(scope: Scope, _: Receive, __: Send) -> None:
        whole = {**scope, "root_path": ""}
        routes = [route for route in app.routes if not isinstance(route, Mount)]
        allowed = [
            method
            for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
            if any(route.matches({**whole, "method": method})[0] is Match.FULL for route in routes)
        ]
        if allowed:
            raise HTTPException(405, "this path does not know the method", {"Allow": ", ".join(allowed)})
        raise HTTPException(404, "there is no such path; see /api/v1/openapi.json")

    app.mount("/api", nowhere)  # last of REST, or the pages' own answer would be a page


def problem_of(error: ServelabError) -> Problem:
    """An error of ours as data."""
    problems = error.problems if isinstance(error, DocumentError) else ()
    return Problem(message=error.message, remedy=error.remedy, problems=problems)


def _answer(problem: Problem, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(problem.model_dump(mode="json"), status, headers)
