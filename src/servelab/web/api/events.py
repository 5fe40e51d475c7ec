"""Events as they happen, by server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from servelab.store.claims import no_study
from servelab.web.api.problem import PROBLEMS
from servelab.web.context import Context, context_of

STUDY_ID = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"
RETRY = 1000  # milliseconds after which a client that was cut off comes back

router = APIRouter(prefix="/api/v1", tags=["events"], responses=PROBLEMS)
Here = Annotated[Context, Depends(context_of)]
Study = Annotated[
    str | None,
    Query(
        pattern=STUDY_ID,
        description="id of a study; without it: all",
        openapi_examples={"one": {"value": "chat-1a2b3"}},
    ),
]
After = Annotated[
    int | None,
    Query(ge=0, le=2**62, description="id of the last event that is known; 0: from the first", examples=[0, 1742]),
]
LastEventId = Annotated[
    str | None, Header(pattern=r"^[0-9]{1,18}$", description="as ``after``; what browsers send", examples=["1742"])
]


def known(here: Here, study: Study = None) -> str | None:
    """A study that there is, or was.

    Raises:
        NotFoundError: there never was one.
    """
    if study and not here.store.events(0, study, 1):
        raise no_study(study)
    return study


@router.get("/events", response_class=EventSourceResponse)
async def events(
    here: Here,
    study: Annotated[str | None, Depends(known)],
    after: After = None,
    last_event_id: LastEventId = None,
) -> AsyncIterator[ServerSentEvent]:
    """What happens, each event with its id; a client that comes back with ``Last-Event-ID`` misses nothing.

    Without an id it begins with what happens from now on.
    """
    since = int(last_event_id) if last_event_id else here.live.last if after is None else after
    yield ServerSentEvent(comment="events follow", retry=RETRY)
    async for batch in here.live.follow(since, study):
        for event in batch:
            yield ServerSentEvent(id=str(event.id), event=event.kind, data=event.model_dump(mode="json"))
