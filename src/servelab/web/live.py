"""What happens in the store, told to everybody who watches: one reader of events, however many browsers."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence

from servelab.spec.errors import StoreError
from servelab.spec.trial import Event
from servelab.store.store import Store
from servelab.store.views import TrialPoint

POLL = 0.2  # seconds between looks at the store
KEPT = 2000  # events in memory; whoever is further behind reads the store
BATCH = 1000
STUDIES = 16  # whose trials are kept in memory


class Live:
    """Follows a store. After ``begin``, ``run`` has to run; the rest may be called from any task of its loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: deque[Event] = deque(maxlen=KEPT)
        self._last = 0
        self._ended = False
        self._news = asyncio.Condition()
        self._points: OrderedDict[str, dict[int, TrialPoint]] = OrderedDict()
        self._stale: dict[str, set[int]] = {}
        self._reading = asyncio.Lock()
        self.followers = 0
        """How many follow it now."""

    async def begin(self) -> None:
        """Find the newest event. Has to come first, or whoever asks for what is new would be told all that ever was.

        Raises:
            StoreError: the store cannot be read.
        """
        self._last = await asyncio.to_thread(self._store.last_event)

    async def run(self) -> None:
        """Read the store for ever; a store that fails for a while is read again later."""
        while True:
            with contextlib.suppress(StoreError):
                new = await asyncio.to_thread(self._store.events, self._last, None, BATCH)
                if new:
                    await self._take(new)
                    continue
            await asyncio.sleep(POLL)

    async def _take(self, new: Sequence[Event]) -> None:
        for event in new:
            self._recent.append(event)
            if event.kind == "deleted":
                self._forget(event.study)
            elif event.trial is not None and event.study in self._points:
                self._stale.setdefault(event.study, set()).add(event.trial)
        self._last = new[-1].id
        async with self._news:
            self._news.notify_all()

    async def end(self) -> None:
        """Let go of everybody who follows; they come back to the next server."""
        self._ended = True
        async with self._news:
            self._news.notify_all()

    @property
    def last(self) -> int:
        """Id of the newest event."""
        return self._last

    async def follow(self, after: int, study: str | None = None) -> AsyncIterator[Sequence[Event]]:
        """Events after an id as they come, in order, without gaps, until the server ends; of one study, or of all."""
        self.followers += 1
        try:
            while not self._ended:
                try:
                    found = await self.since(after)
                except StoreError:  # it is away for a while
                    await asyncio.sleep(1)
                    continue
                if found:
                    after = found[-1].id
                    chosen = [event for event in found if study in (None, event.study)]
                    if chosen:
                        yield chosen
                    continue
                async with self._news:
                    while self._last <= after and not self._ended:
                        await self._news.wait()
        finally:
            self.followers -= 1

    async def since(self, after: int) -> Sequence[Event]:
        """Events after an id that are known, in order: the first of them, where there are many.

        Raises:
            StoreError: the store cannot be read.
        """
        if after >= self._last:
            return ()
        if self._recent and self._recent[0].id <= after + 1:
            start = bisect.bisect_right(self._recent, after, key=lambda event: event.id)
            return [self._recent[index] for index in range(start, len(self._recent))]
        return await asyncio.to_thread(self._store.events, after, None, BATCH)

    async def points(self, study_id: str) -> list[TrialPoint]:
        """All trials of a study in order; only those that have changed are read.

        Raises:
            StoreError: the store cannot be read.
        """
        async with self._reading:
            known = self._points.get(study_id)
            stale = self._stale.pop(study_id, set())
            # From here on, what changes while it is read is noted as stale.
            self._points.setdefault(study_id, {})
            numbers = None if known is None or len(stale) > BATCH else sorted(stale)
            try:
                read = [] if numbers == [] else await asyncio.to_thread(self._store.points, study_id, numbers)
            except BaseException:  # its reader may have gone, too: what is noted would be lost with it
                self._forget(study_id)
                raise
            found = (known or {}) | {point.number: point for point in read}
            if study_id in self._points:  # it may have been deleted meanwhile
                self._points[study_id] = found
                self._points.move_to_end(study_id)
            while len(self._points) > STUDIES:
                self._forget(next(iter(self._points)))
            return [found[number] for number in sorted(found)]

    def _forget(self, study_id: str) -> None:
        self._points.pop(study_id, None)
        self._stale.pop(study_id, None)
