"""The page of an address that no page has."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from nicegui import Client, app, ui

from servelab.web.pages.frame import frame
from servelab.web.pages.parts import empty


def add_nowhere() -> None:
    """Answer a path that no page has, or whose parts none takes, with a page."""

    @app.exception_handler(404)
    @app.exception_handler(RequestValidationError)
    async def _nowhere(request: Request, _: Exception) -> Response:
        with Client(ui.page(""), request=request) as client, frame("No such page", ""):
            empty("There is no such page", "The address may be mistyped, or what it named was removed.")
            ui.link("All studies", "/")
        return client.build_response(request, 404)
