"""All routers of the REST interface."""

from __future__ import annotations

from servelab.web.api.ask import router as ask
from servelab.web.api.catalog import router as catalog
from servelab.web.api.compare import router as compare
from servelab.web.api.convert import router as convert
from servelab.web.api.events import router as events
from servelab.web.api.predict import router as predict
from servelab.web.api.results import router as results
from servelab.web.api.studies import router as studies
from servelab.web.api.system import router as system
from servelab.web.api.trials import router as trials
from servelab.web.api.writing import router as writing

ROUTERS = (studies, writing, ask, trials, results, compare, convert, events, predict, catalog, system)
