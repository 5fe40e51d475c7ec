"""What the kernel says of processes and their groups."""

from __future__ import annotations

import contextlib
import os

import psutil


def stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name: state, parent, group and so on; see proc_pid_stat(5).

    Raises:
        OSError: there is no such process.
    """
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as source:  # noqa: PTH123 - a hot path
        # The name, in parentheses, may hold anything.
        return source.read().rpartition(")")[2].split()


def group_runs(group: int) -> bool:
    """Whether a member of a process group still runs.

    A zombie does not: where nobody reaps orphans, as in many containers, it would be waited for in vain.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # a member has become another user's
    return any(_runs_in(pid, group) for pid in psutil.pids())


def _runs_in(pid: int, group: int) -> bool:
    with contextlib.suppress(OSError, ValueError):  # processes come and go
        state, _, its_group = stat(pid)[:3]
        return int(its_group) == group and state not in "ZX"
    return False
