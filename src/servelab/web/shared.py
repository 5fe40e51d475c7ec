"""What is dear to work out is worked out once for all pages, and not again until it has rested."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
KEPT = 32  # answers


@dataclass
class _Answer(Generic[T]):
    version: Hashable
    value: T
    until: float


@dataclass
class Shared(Generic[T]):
    """Answers by key. One is worked out again when its version has changed, but at most a ``share`` of the time."""

    share: float
    shortest: float
    """Seconds for which an answer is good in any case."""
    _answers: OrderedDict[Hashable, _Answer[T]] = field(default_factory=OrderedDict)
    _working: dict[Hashable, asyncio.Lock] = field(default_factory=dict)

    def at_hand(self, key: Hashable, version: Hashable) -> T | None:
        """The answer for this version, or one of a moment ago; None where it has to be worked out."""
        found = self._answers.get(key)
        if found is None or (found.version != version and time.monotonic() >= found.until):
            return None
        return found.value

    async def get(self, key: Hashable, version: Hashable, work: Callable[[], T]) -> T:
        """The answer at hand, or a new one; ``work`` runs in a thread."""
        async with self._working.setdefault(key, asyncio.Lock()):
            found = self.at_hand(key, version)
            if found is not None:
                return found
            began = time.monotonic()
            value = await asyncio.to_thread(work)
            spent = time.monotonic() - began
            rest = max(self.shortest, spent / self.share)
            self._answers[key] = _Answer(version, value, time.monotonic() + rest)
            self._answers.move_to_end(key)
            while len(self._answers) > KEPT:
                self._working.pop(self._answers.popitem(last=False)[0], None)
            return value
