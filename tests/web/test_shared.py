"""What is dear is worked out once for all who ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from servelab.web import shared as module
from servelab.web.shared import Shared

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: the browser of other tests keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_many_who_ask_at_once_cost_one_answer():
    asked: list[int] = []

    def work() -> int:
        asked.append(1)
        time.sleep(0.05)
        return 7

    async def all_at_once() -> list[int]:
        shared: Shared[int] = Shared(share=0.5, shortest=60)
        return await asyncio.gather(*(shared.get("key", 1, work) for _ in range(20)))

    assert run(all_at_once()) == [7] * 20
    assert len(asked) == 1


def test_an_answer_rests_in_proportion_to_what_it_cost(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))

    def after(seconds: float, value: str) -> str:
        nonlocal now
        now += seconds
        return value

    async def ask() -> tuple[str, str, str | None]:
        shared: Shared[str] = Shared(share=0.1, shortest=0)
        await shared.get("key", 1, lambda: after(0.05, "first"))  # at a tenth of the time: 0.5 s of rest
        after(0.4, "")
        soon = await shared.get("key", 2, lambda: "second")
        after(0.2, "")
        assert shared.at_hand("key", 2) is None
        return soon, await shared.get("key", 2, lambda: "second"), shared.at_hand("key", 2)

    assert run(ask()) == ("first", "second", "second")


def test_an_answer_to_the_same_question_stays_good():
    async def ask() -> str:
        shared: Shared[str] = Shared(share=1, shortest=0)
        await shared.get("key", 1, lambda: "first")
        return await shared.get("key", 1, lambda: "never asked")

    assert run(ask()) == "first"


def test_an_error_is_passed_on_and_asked_again():
    async def ask() -> str:
        shared: Shared[str] = Shared(share=1, shortest=0)
        try:
            await shared.get("key", 1, lambda: str(1 // 0))
        except ZeroDivisionError:
            return await shared.get("key", 1, lambda: "well")
        return "no error"

    assert run(ask()) == "well"
