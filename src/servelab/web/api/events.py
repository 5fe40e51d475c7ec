"""Events as they happen, by server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from servelab.web.context import Context, context_of

router = APIRouter(prefix="/api/v1", tags=["events"])


@router.get("/events", response_class=EventSourceResponse)
async def events(
    here: Annotated[Context, Depends(context_of)],
    study: Annotated[str | None, Query(max_length=64, description="id of a study; default: all")] = None,
    after: Annotated[int | None, Query(ge=0, le=2**62, description="id of the last event that is known")] = None,
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,18}$")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """What happens, each event with its id; a client that comes back with ``Last-Event-ID`` misses nothing.

    Without an id it begins with what happens from now on.
    """
    since = int(last_event_id) if last_event_id else here.live.last if after is None else after
    async for batch in here.live.follow(since, study):
        for event in batch:
            yield ServerSentEvent(id=str(event.id), event=event.kind, data=event.model_dump(mode="json"))
