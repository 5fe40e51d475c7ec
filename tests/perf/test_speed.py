"""The benchmark's measurement of memory, at something that holds memory and at something that does not."""

from __future__ import annotations

import pytest

from benchmarks.predict.speed import grown


def hold(requests: int) -> int:
    return len([bytes(1 << 10) for _ in range(requests)])


def drop(requests: int) -> int:
    return sum(len(bytes(1 << 10)) for _ in range(requests))


def test_memory_that_grows_with_the_requests_shows():
    assert grown(hold, few=1000, many=81_000) == pytest.approx(80, abs=15)


def test_memory_that_does_not_grow_is_about_0():
    assert grown(drop, few=1000, many=81_000) == pytest.approx(0, abs=15)
