"""Tests of measured times, which a busy machine breaks now and then and a fault always."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable
from typing import Any

import pytest

TRIES = 4
PAUSE = 2.0  # seconds, for whatever kept the machine busy to go on
BROKEN = (AssertionError, pytest.fail.Exception)


def again(test: Callable[..., Any]) -> Callable[..., Any]:
    """Try a test anew when it fails, in a directory of its own each time; it fails when all tries do.

    Only for what is said of times that were really measured, between processes that the kernel may halt at any moment.
    """

    def fresh(named: dict[str, Any], number: int) -> dict[str, Any]:
        directory = named["tmp_path"] / f"try-{number}"
        directory.mkdir()
        if "server" in named:
            named["server"].seen()
        return {**named, "tmp_path": directory}

    @functools.wraps(test)
    async def awaited(**named: Any) -> None:
        for number in range(1, TRIES):
            try:
                return await test(**fresh(named, number))
            except BROKEN:
                await asyncio.sleep(PAUSE)
        return await test(**fresh(named, TRIES))

    @functools.wraps(test)
    def called(**named: Any) -> None:
        for number in range(1, TRIES):
            try:
                return test(**fresh(named, number))
            except BROKEN:
                time.sleep(PAUSE)
        return test(**fresh(named, TRIES))

    return awaited if inspect.iscoroutinefunction(test) else called
