"""All routers of the REST interface."""

from __future__ import annotations

from servelab.web.api.events import router as events
from servelab.web.api.studies import router as studies

ROUTERS = (studies, events)
