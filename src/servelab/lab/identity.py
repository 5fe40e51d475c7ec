"""Who a worker is, so that another can tell whether it still lives."""

from __future__ import annotations

import os
import secrets
import socket

from servelab.platforms.proc import stat


def worker_name() -> str:
    """A new name for a worker of this process: machine, process id, its start, and a random part."""
    return f"{socket.gethostname()}/{os.getpid()}/{_start(os.getpid())}/{secrets.token_hex(3)}"


def is_dead(worker: str) -> bool:
    """Whether a worker is known to be dead; False for one on another machine, of which nothing is known."""
    machine, pid, start, _ = worker.rsplit("/", 3)
    return machine == socket.gethostname() and _start(int(pid)) != start


def _start(pid: int) -> str | None:
    """When a process started, in ticks since boot, which no step of the clock changes; None if none runs.

    A zombie does not: whoever should have noticed its end may be gone too.
    """
    try:
        fields = stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]
