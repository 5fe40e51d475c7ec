"""Start an engine's process: in a group of its own, on cores of its own, with its log in a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import BinaryIO

from servelab.platforms.logfile import open_log
from servelab.spec.errors import DeployError, MachineError, is_exhaustion

MOST_EXPENDABLE = 1000  # see proc_pid_oom_score_adj(5)


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path, cpus: tuple[int, ...]) -> Popen[bytes]:
    """Start ``command``, bound to ``cpus`` from its first instruction; to none in particular when that is empty.

    Raises:
        DeployError: the cores are not there, or the program cannot be run.
        MachineError: the machine has no room for another process or thread.
        StoreError: the log cannot be written.
    """
    # Linux binds threads, and a child inherits the cores of the thread that starts it. A thread that does nothing
    # else leaves the cores of all others, and of what they start meanwhile, as they are.
    with open_log(log) as sink, ThreadPoolExecutor(1) as thread:
        try:
            spawning = thread.submit(_spawn, command, environment, sink, cpus)
        except RuntimeError as error:  # "can't start new thread"
            raise MachineError(f"cannot start {command[0]}: {error}") from error
        return spawning.result()


def _spawn(
    command: Sequence[str], environment: Mapping[str, str], sink: BinaryIO, cpus: tuple[int, ...]
) -> Popen[bytes]:
    if cpus:
        _bind(cpus)
    try:
        child = Popen(command, env=environment, stdin=DEVNULL, stdout=sink, stderr=sink, start_new_session=True)
    except (FileNotFoundError, PermissionError) as error:
        raise DeployError(
            f"cannot start {command[0]}: {error.strerror}",
            "Install the engine, or name its program in engine.executable.",
        ) from error
    except OSError as error:
        said = f"cannot start {command[0]}: {error.strerror}"
        if is_exhaustion(error):
            raise MachineError(said) from error
        raise DeployError(said, "Try its command by hand.") from error
    _let_go_first(child.pid)
    return child


def _let_go_first(pid: int) -> None:
    """Make an engine what the kernel ends when memory runs out, not the other programs of this machine."""
    with contextlib.suppress(OSError):  # it has ended already
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(MOST_EXPENDABLE), encoding="ascii")


def _bind(cpus: tuple[int, ...]) -> None:
    """Bind this thread, and what it starts, to exactly these cores."""
    ours = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
        missing = set(cpus) - os.sched_getaffinity(0)  # the kernel passes over some that are not there
    except (OSError, ValueError, OverflowError):
        missing = set(cpus) - ours or set(cpus)
    if missing:
        raise DeployError(
            f"cannot bind the engine to cores {cpus}: {sorted(missing)} cannot be used here",
            f"Name some of {sorted(ours)} in platform.options.cpus.",
        )
