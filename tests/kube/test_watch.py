"""Watching, on a real API server that is killed, halted, and made to forget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from servelab.kube import watch as watching
from servelab.kube.cluster import Cluster
from servelab.kube.errors import GoneError, UnreachableError
from servelab.kube.kinds import Kind
from servelab.kube.watch import Change, wait_for, watch
from tests.kubernetes import Kubernetes

CONFIG = Kind("v1", "ConfigMap", "configmaps")
OURS = {"app": "watched"}


async def put(cluster: Cluster, name: str, value: str = "") -> None:
    manifest = {"metadata": {"name": name, "labels": OURS}, "data": {"value": value}}
    await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", **manifest})


class Seen:
    """What a watch told, in short."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def take(self, change: Change) -> None:
        name = change.object.get("metadata", {}).get("name", "")
        value = change.object.get("data", {}).get("value", "")
        self.told.append(f"{change.type} {name}={value}" if name else change.type)

    async def until(self, what: str, times: int = 1) -> None:
        async with asyncio.timeout(200):
            while self.told.count(what) < times:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def seen(cluster: Cluster, **options: Any) -> AsyncIterator[Seen]:
    collected = Seen()

    async def follow() -> None:
        async with aclosing(watch(cluster, CONFIG, labels=OURS, **options)) as changes:
            async for change in changes:
                collected.take(change)

    task = asyncio.create_task(follow())
    yield collected
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_there_then_what_happens(cluster: Cluster) -> None:
    await put(cluster, "a", "1")
    async with seen(cluster) as told:
        await told.until("synced")
        await put(cluster, "b")
        await put(cluster, "a", "2")
        await cluster.delete(CONFIG, "b")
        await told.until("deleted b=")
        assert told.told == ["added a=1", "synced", "added b=", "modified a=2", "deleted b="]


async def test_the_server_ends_a_round_and_nothing_is_told_twice(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ROUND", 1)
    await put(cluster, "a", "1")
    async with seen(cluster) as told:
        await told.until("synced")
        await asyncio.sleep(2.5)
        await put(cluster, "a", "2")
        await told.until("modified a=2")
        assert told.told == ["added a=1", "synced", "modified a=2"]


async def test_the_api_server_is_killed_and_started_again(api: Kubernetes, cluster: Cluster) -> None:
    await put(cluster, "stays", "1")
    await put(cluster, "goes")
    async with seen(cluster) as told:
        await told.until("synced")
        await asyncio.to_thread(api.kill)
        await told.until("lost")
        await asyncio.to_thread(api.start)
        await cluster.delete(CONFIG, "goes")
        await put(cluster, "stays", "2")
        await told.until("deleted goes=")
        await told.until("modified stays=2")
        assert told.told.count("added stays=1") == 1
        assert told.told.count("modified stays=2") == 1


async def test_a_server_that_forgot_is_read_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a compaction: the version to resume from is gone, so the differences are worked out."""
    await put(cluster, "a", "1")
    await put(cluster, "b")
    real = watching._events
    forgot = asyncio.Event()

    async def events(*arguments: Any) -> AsyncIterator[Any]:
        if not forgot.is_set():
            forgot.set()
            await cluster.delete(CONFIG, "b")
            await put(cluster, "a", "2")
            await put(cluster, "c")
            raise GoneError("too old", "", 410)
        async for event in real(*arguments):
            yield event

    monkeypatch.setattr(watching, "_events", events)
    async with seen(cluster) as told:
        await told.until("synced", times=2)
        assert told.told == [
            "added a=1",
            "added b=",
            "synced",
            "deleted b=",
            "modified a=2",
            "added c=",
            "synced",
        ]


async def test_a_version_of_long_ago_is_gone(cluster: Cluster) -> None:
    """The real answer that the test before stands for."""
    with pytest.raises(GoneError):
        async for _ in watching._events(cluster, CONFIG, "", None, None, "1"):
            pass


async def test_a_connection_on_which_nothing_comes_is_taken_up_again(
    api: Kubernetes, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx2

    monkeypatch.setattr(watching, "SILENCE", httpx2.Timeout(2.0, read=1.0))
    await put(cluster, "a", "1")
    async with seen(cluster) as told:
        await told.until("synced")
        api.pause()
        try:
            await told.until("lost")
        finally:
            api.unpause()
        await put(cluster, "a", "2")
        await told.until("modified a=2")


async def test_patience_ends(api: Kubernetes, cluster: Cluster) -> None:
    async def follow() -> None:
        async with aclosing(watch(cluster, CONFIG, patience=1.0)) as changes:
            async for change in changes:
                if change.type == "synced":
                    await asyncio.to_thread(api.kill)

    try:
        with pytest.raises(UnreachableError):
            async with asyncio.timeout(200):
                await follow()
    finally:
        await asyncio.to_thread(api.start)


async def test_an_object_is_waited_for(cluster: Cluster) -> None:
    async def put_twice() -> None:
        await put(cluster, "late", "1")
        await put(cluster, "late", "2")

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        assert await wait_for(cluster, CONFIG, "late", lambda one: one is None) is None  # it is not there yet
        group.create_task(put_twice())
        found = await wait_for(cluster, CONFIG, "late", lambda one: one is not None and one["data"]["value"] == "2")
        assert found is not None
        group.create_task(cluster.delete(CONFIG, "late"))
        assert await wait_for(cluster, CONFIG, "late", lambda one: one is None) is None
