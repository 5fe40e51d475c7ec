"""Which cores the engine gets, so that it and the load generator do not share one."""

from __future__ import annotations

import os


def engine_cores() -> tuple[int, ...]:
    """The cores for engines: all that this process may use but the last, which is the load generator's.

    Empty (no binding) on a machine with one core, where there is nothing to divide.
    """
    available = sorted(os.sched_getaffinity(0))
    return tuple(available[:-1])
