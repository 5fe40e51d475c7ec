"""The application: REST, pages, and the guard in front of both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from servelab import __version__
from servelab.lab.background import interrupted, start_in_background
from servelab.store.store import Store
from servelab.web.api.problem import add_problems
from servelab.web.api.routers import ROUTERS
from servelab.web.context import Context
from servelab.web.guard import Guard
from servelab.web.live import Live
from servelab.web.login import router as login
from servelab.web.metrics import router as metrics
from servelab.web.pages.register import add_pages
from servelab.web.settings import Settings


def create_app(store: Store, settings: Settings) -> FastAPI:
    """The page server over a store; studies that its predecessor left without a process are taken up again."""
    context = Context(store, Live(store), settings, settings.tokens)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.ensure_future(context.live.run())
        for study_id in await asyncio.to_thread(interrupted, store):
            await asyncio.to_thread(start_in_background, store, study_id)
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    app = FastAPI(
        title="servelab",
        version=__version__,
        summary="Everything that the pages do, as REST.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.context = context
    add_problems(app)
    app.include_router(login)
    app.include_router(metrics)
    for router in ROUTERS:
        app.include_router(router)
    add_pages(app, context)
    app.add_middleware(Guard, settings=settings, tokens=context.tokens)
    return app
