"""What the kernel says of processes and their groups."""

from __future__ import annotations

import asyncio
import contextlib
import os

import psutil

LOOK = 0.25  # seconds between looks at a process whose end the kernel does not tell


def stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name: state, parent, group and so on; see proc_pid_stat(5).

    Raises:
        OSError: there is no such process.
    """
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as source:  # noqa: PTH123 - a hot path
        # The name, in parentheses, may hold anything.
        return source.read().rpartition(")")[2].split()


def group_runs(group: int) -> bool:
    """Whether a member of a process group still runs."""
    return bool(_members(group))


async def group_end(group: int) -> None:
    """Return when no member of a process group runs, those that start meanwhile included.

    All of /proc is looked through once for each generation of members; in between, the kernel tells of their ends.
    """
    while running := _members(group):
        await asyncio.gather(*(process_end(pid, group) for pid in running))


async def process_end(pid: int, group: int | None = None) -> None:
    """Return when a process has ended; where the kernel does not tell, after a while.

    Give the ``group`` of one that is not our child: its id may have become another's.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # a Python built for older kernels, or no descriptor to spare
        await asyncio.sleep(LOOK)
        return
    try:
        if group is None or _runs_in(pid, group):
            await _readable(descriptor)
    finally:
        os.close(descriptor)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def _members(group: int) -> list[int]:
    """The members of a process group that run.

    A zombie does not: where nobody reaps orphans, as in many containers, it would be waited for in vain.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    except PermissionError:
        pass  # a member has become another user's
    return [pid for pid in psutil.pids() if _runs_in(pid, group)]


def _runs_in(pid: int, group: int) -> bool:
    with contextlib.suppress(OSError, ValueError):  # processes come and go
        state, _, its_group = stat(pid)[:3]
        return int(its_group) == group and state not in "ZX"
    return False
