"""Processes that carry a study's mark in their environment: found by it, and ended by it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

from servelab.platforms.proc import stat
from servelab.spec.deployment import Mark

OWNER = "SERVELAB_OWNER"
"""Environment variable with the process that started the engine, as ``pid/start``."""

_NAMES = frozenset({*Mark(study="", trial=0).environment, OWNER})

KILL_WAIT = 5.0  # seconds for the kernel to end a killed process
KILL_LOOK = 0.01  # and between looks at whether it has


@dataclass(frozen=True)
class Marked:
    """A process with a mark; ``start`` tells it from a later process with the same id."""

    pid: int
    start: str
    mark: Mark
    owner: str
    command: str


def identity(pid: int) -> str:
    """``pid/start`` of a process; the start is in ticks since boot, which no step of the clock changes."""
    return f"{pid}/{stat(pid)[19]}"


def marked_processes() -> Iterator[Marked]:
    """All processes of this user that carry a mark, with its owner: without one, no platform of ours started them."""
    for pid in psutil.pids():
        # Processes come and go, and other users' are closed to us.
        with contextlib.suppress(OSError, psutil.Error, ValueError, LookupError):
            environment = psutil.Process(pid).environ()
            if "SERVELAB_STUDY" in environment:
                yield Marked(
                    pid=pid,
                    start=identity(pid),
                    mark=_mark(environment),
                    owner=environment[OWNER],
                    command=" ".join(psutil.Process(pid).cmdline())[:200],
                )


def unmarked(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without a mark, for what is not ours to end."""
    return {name: value for name, value in environment.items() if name not in _NAMES}


def _mark(environment: Mapping[str, str]) -> Mark:
    return Mark(
        study=environment["SERVELAB_STUDY"],
        trial=int(environment["SERVELAB_TRIAL"]),
        attempt=int(environment.get("SERVELAB_ATTEMPT", "1")),
    )


def is_alive(owner: str) -> bool:
    """Whether the process ``pid/start`` still runs (a zombie does not)."""
    pid = owner.partition("/")[0]
    try:
        return identity(int(pid)) == owner and psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, IndexError, psutil.Error):
        return False


def kill(process: Marked) -> None:
    """End a marked process by force, unless its id belongs to another by now; returns when it has ended.

    It may stay as a zombie: who started it need not have noticed.
    """
    deadline = time.monotonic() + KILL_WAIT
    with contextlib.suppress(ProcessLookupError):
        while is_alive(process.start) and time.monotonic() < deadline:
            os.kill(process.pid, signal.SIGKILL)
            time.sleep(KILL_LOOK)
