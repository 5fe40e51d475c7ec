"""The application: REST, pages, and the guard in front of both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI

from servelab import __version__
from servelab.lab.background import take_up
from servelab.spec.errors import ServelabError
from servelab.store.store import Store
from servelab.web.api.problem import REFUSALS, Application, add_problems
from servelab.web.api.routers import ROUTERS
from servelab.web.context import Context
from servelab.web.guard import Guard
from servelab.web.login import router as login
from servelab.web.metrics import router as metrics
from servelab.web.pages.register import add_pages

THREADS = 32  # that wait for the store
LOOK = 2.0  # seconds between looks for studies whose process is gone


def create_app(context: Context) -> Guard:
    """The page server over a store; it goes on with studies whose process is gone before they ended."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Whoever waits for a store that is locked must not keep others waiting: a few threads would not do.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        await context.live.begin()
        tasks = [asyncio.ensure_future(context.live.run()), asyncio.ensure_future(_take_up(context.store))]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    app = Application(
        title="servelab",
        version=__version__,
        summary="Everything that the pages do, as REST.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        responses=REFUSALS,
    )
    app.state.context = context
    app.include_router(login)
    app.include_router(metrics)
    for router in ROUTERS:
        app.include_router(router)
    add_problems(app)
    add_pages(app, context)
    return Guard(app, context.settings, context.tokens)


async def _take_up(store: Store) -> None:
    while True:
        with contextlib.suppress(ServelabError):  # the store is away, or there is no room: the next look
            await asyncio.to_thread(take_up, store)
        await asyncio.sleep(LOOK)
