"""Hang the pages into the application."""

from __future__ import annotations

from pathlib import Path as File
from typing import Annotated

from fastapi import FastAPI, Path, Query
from fastapi.staticfiles import StaticFiles
from nicegui import ui

from servelab.web.context import Context
from servelab.web.pages import compare, convert, predict, recommendation, studies, study, system, trial
from servelab.web.pages.new import page as new
from servelab.web.pages.nowhere import add_nowhere

STATIC = File(__file__).parent.parent / "static"
TIMEOUT = 60.0  # seconds that a page may take to be made
RECONNECT = 15.0  # seconds that a browser may be away, and then finds its page as it was


def add_pages(app: FastAPI, context: Context) -> None:
    """Every page by its path."""

    @ui.page("/", response_timeout=TIMEOUT)
    async def _studies() -> None:
        await studies.page(context)

    @ui.page("/predict", response_timeout=TIMEOUT)
    async def _predict(study: Annotated[str, Query(max_length=64)] = "") -> None:
        await predict.page(context, study)

    @ui.page("/new", response_timeout=TIMEOUT)
    async def _new(origin: Annotated[str | None, Query(alias="from", max_length=64)] = None) -> None:
        await new.page(context, origin)

    @ui.page("/convert", response_timeout=TIMEOUT)
    async def _convert() -> None:
        await convert.page(context)

    @ui.page("/system", response_timeout=TIMEOUT)
    async def _system() -> None:
        await system.page(context)

    @ui.page("/studies/{study_id}", response_timeout=TIMEOUT)
    async def _study(study_id: str) -> None:
        await study.page(context, study_id)

    @ui.page("/studies/{study_id}/trials/{number}", response_timeout=TIMEOUT)
    async def _trial(study_id: str, number: Annotated[int, Path(ge=0, le=2**31 - 1)]) -> None:
        await trial.page(context, study_id, number)

    @ui.page("/studies/{study_id}/recommendation", response_timeout=TIMEOUT)
    async def _recommendation(study_id: str) -> None:
        await recommendation.page(context, study_id)

    @ui.page("/compare", response_timeout=TIMEOUT)
    async def _compare(trials: str = "") -> None:
        await compare.page(context, trials)

    add_nowhere()
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    ui.run_with(
        app,
        title="servelab",
        favicon=STATIC / "icon.svg",
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=RECONNECT,
    )
