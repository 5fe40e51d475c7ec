"""What live views are told: never less than the store says, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from servelab.spec.errors import StoreError
from servelab.spec.trial import Timings, Trial
from servelab.store.store import Store
from servelab.web.live import KEPT, Live
from tests.lab.studies import small


def in_a_thread(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in a loop of its own: the browser of other tests keeps one running in this thread."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, test(*arguments, **named)).result()

    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store.db"))


@contextlib.asynccontextmanager
async def living(store: Store) -> AsyncIterator[Live]:
    live = Live(store)
    await live.begin()
    running = asyncio.ensure_future(live.run())
    try:
        yield live
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def caught_up(live: Live, store: Store) -> None:
    async with asyncio.timeout(120):
        while live.last < store.last_event():
            await asyncio.sleep(0.02)


def trials(count: int) -> list[Trial]:
    return [Trial(number=number, parameters={"parallel": 1}) for number in range(count)]


def finish(store: Store, study: str) -> None:
    trial = store.claim(study, "worker")
    if trial is not None:
        store.finish_trial(study, trial.number, "worker", state="complete", timings=Timings(), outcome={})


@in_a_thread
async def test_points_are_the_store_s_after_any_changes(store: Store) -> None:
    rng = random.Random(3)
    study = store.create_study(small()).id
    async with living(store) as live:
        for _ in range(60):
            step = rng.choice(("add", "claim", "finish", "finish", "cut"))
            if step == "add":
                store.add_trials(study, trials(rng.randint(1, 3)))
            elif step == "claim":
                store.claim(study, f"worker-{rng.random()}")
            elif step == "finish":
                finish(store, study)
            else:  # a reader that goes in the middle
                reading = asyncio.ensure_future(live.points(study))
                for _ in range(rng.randint(0, 3)):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            if rng.random() < 0.5:
                await caught_up(live, store)
                assert await live.points(study) == store.points(study)
        await caught_up(live, store)
        assert await live.points(study) == store.points(study)


@in_a_thread
async def test_a_store_that_fails_for_a_while_costs_nothing(store: Store, tmp_path: Path) -> None:
    study = store.create_study(small()).id
    store.add_trials(study, trials(3))
    async with living(store) as live:
        assert len(await live.points(study)) == 3
        finish(store, study)
        await caught_up(live, store)
        before = live.last
        with sqlite3.connect(tmp_path / "store.db") as other:
            other.execute("ALTER TABLE trials RENAME TO away")
            other.execute("ALTER TABLE events RENAME TO away_too")
        with pytest.raises(StoreError):
            await live.points(study)
        follower = asyncio.ensure_future(anext(live.follow(before)))
        await asyncio.sleep(0.5)
        assert not follower.done()
        with sqlite3.connect(tmp_path / "store.db") as other:
            other.execute("ALTER TABLE away RENAME TO trials")
            other.execute("ALTER TABLE away_too RENAME TO events")
        other.close()
        finish(store, study)
        async with asyncio.timeout(120):
            assert next(event.kind for event in await follower) == "claimed"
        await caught_up(live, store)
        assert await live.points(study) == store.points(study)
        assert [point.state for point in await live.points(study)] == ["complete", "complete", "waiting"]


@in_a_thread
async def test_a_study_that_is_deleted_is_forgotten(store: Store) -> None:
    study = store.create_study(small()).id
    store.add_trials(study, trials(2))
    async with living(store) as live:
        assert len(await live.points(study)) == 2
        store.delete_study(study)
        await caught_up(live, store)
        assert await live.points(study) == []


@in_a_thread
async def test_whoever_is_far_behind_gets_all_in_order(store: Store) -> None:
    study = store.create_study(small()).id
    async with living(store) as live:
        for number in range(KEPT + 500):
            store.append_event(study, None, "note", {"number": number})
        await caught_up(live, store)
        got: list[int] = []
        async with asyncio.timeout(120):
            async for batch in live.follow(0, study):
                got += [event.data["number"] for event in batch if event.kind == "note"]
                if len(got) >= KEPT + 500:
                    break
        assert got == list(range(KEPT + 500))


@in_a_thread
async def test_nobody_is_told_what_was_before_and_all_are_let_go_at_the_end(store: Store) -> None:
    study = store.create_study(small()).id
    async with living(store) as live:
        heard: list[str] = []

        async def listen() -> None:
            async for batch in live.follow(live.last):
                heard.extend(event.kind for event in batch)

        listeners = [asyncio.ensure_future(listen()) for _ in range(3)]
        while live.followers < len(listeners):
            await asyncio.sleep(0)
        store.append_event(study, None, "news", {})
        async with asyncio.timeout(120):
            while len(heard) < len(listeners):
                await asyncio.sleep(0.02)
        await live.end()
        async with asyncio.timeout(120):
            await asyncio.gather(*listeners)
        assert heard == ["news"] * 3
        assert live.followers == 0
