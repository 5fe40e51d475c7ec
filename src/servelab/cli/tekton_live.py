"""A Tekton run live in the terminal, with keys; where there is no terminal, a line for every change."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import time
import tty
from collections.abc import Iterator
from typing import Literal

from rich.live import Live
from rich.markup import escape

from servelab.cli.output import console, notes
from servelab.cli.tekton_view import COLOURS, KEYS, pod_table, slow_tasks, task_table, view
from servelab.kube.cluster import Cluster
from servelab.kube.watch import wait_for
from servelab.spec.errors import ServelabError
from servelab.tekton.board import Board
from servelab.tekton.cleanup import remove_run
from servelab.tekton.control import cancel
from servelab.tekton.follow import follow
from servelab.tekton.kinds import PIPELINE_RUN
from servelab.tekton.runlogs import print_logs
from servelab.tekton.status import FINAL, RunStatus, run_state

REFRESH = 4  # times a second
QUIET_CHECK = 5.0  # seconds between looks for slow tasks where there is no terminal


async def watch_run(cluster: Cluster, board: Board) -> RunStatus | None:
    """Show a run until it ends or a task of it fails; None when the person left it.

    Raises:
        ServelabError: there is no such run, or the cluster is away for too long.
    """
    if not (console.is_terminal and sys.stdin.isatty()):
        return await _print_changes(cluster, board)
    following = asyncio.create_task(follow(cluster, board))
    keys: asyncio.Queue[str] = asyncio.Queue()
    removing = False
    with _keys(keys), Live(view(board, console.height), console=console, auto_refresh=False, screen=False) as live:
        while not following.done():
            live.update(view(board, console.height, KEYS), refresh=True)
            key = await _next_key(keys, following)
            wish = await _act(cluster, board, key, live) if key else ""
            removing = removing or wish == "remove"
            if wish == "leave":
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                return None
        live.update(view(board, console.height), refresh=True)
    if removing:
        await _remove(cluster, board)
    return following.result()


async def _remove(cluster: Cluster, board: Board) -> None:
    """Remove a run that was cancelled for it; its final tasks come first."""
    await wait_for(cluster, PIPELINE_RUN, board.name, lambda run: run is None or run_state(run) in FINAL)
    removed = await remove_run(cluster, board.name)
    board.gone = True
    console.print(f"removed: {len(removed)} objects")


async def _next_key(keys: asyncio.Queue[str], following: asyncio.Task[RunStatus]) -> str:
    """A key, or nothing when the screen is to be drawn anew or the run has ended."""
    getting = asyncio.create_task(keys.get())
    await asyncio.wait([getting, following], timeout=1 / REFRESH, return_when=asyncio.FIRST_COMPLETED)
    if getting.done():
        return getting.result()
    getting.cancel()
    return ""


async def _act(cluster: Cluster, board: Board, key: str, live: Live) -> Literal["leave", "remove", ""]:
    """Do what a key means."""
    status = board.status
    try:
        if key == "q":
            return "leave"
        if key == "c":
            await cancel(cluster, board.name)
            live.console.print("cancelling: its final tasks still clean up")
        elif key == "x":
            await cancel(cluster, board.name)
            live.console.print("cancelling; when its final tasks have cleaned up, everything of it is removed")
            return "remove"
        elif key == "p":
            live.console.print(pod_table(board.pods) if board.pods else "no engine runs")
        elif key == "s" and status is not None:
            live.console.print(task_table(status.tasks, time.time()))
        elif key == "l":
            await print_logs(cluster, board.name, _last_task(status), _print_line)
    except ServelabError as error:
        live.console.print(f"[yellow]{escape(error.message)}[/]")
    return ""


def _last_task(status: RunStatus | None) -> str:
    """The task that runs, or was the last to."""
    started = sorted(
        (task for task in (status.tasks if status else ()) if task.pod),
        key=lambda task: (task.state == "Running", task.started or 0.0),
    )
    return started[-1].task if started else ""


def _print_line(task: str, step: str, line: str) -> None:
    console.print(f"[dim]\\[{escape(task)} : {escape(step)}][/] {escape(line)}", soft_wrap=True)


@contextlib.contextmanager
def _keys(keys: asyncio.Queue[str]) -> Iterator[None]:
    """Read single keys without their being shown; the terminal is as before afterwards."""
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    loop = asyncio.get_running_loop()
    tty.setcbreak(file)

    def read() -> None:
        # Not sys.stdin: its buffer would hide all keys but the first of those that come together.
        for key in os.read(file, 64).decode(errors="replace"):
            keys.put_nowait(key)

    loop.add_reader(file, read)
    try:
        yield
    finally:
        loop.remove_reader(file)
        termios.tcsetattr(file, termios.TCSADRAIN, before)


async def _print_changes(cluster: Cluster, board: Board) -> RunStatus:
    told: dict[str, str] = {}
    lost = False

    def changed(board: Board) -> None:
        nonlocal lost
        if bool(board.lost) != lost:
            lost = bool(board.lost)
            notes.print(f"the cluster cannot be reached: {escape(board.lost)}" if lost else "connected again")
        task = board.latest
        if task is not None and told.get(task.run) != task.state:
            told[task.run] = task.state
            text = f": {escape(task.message)}" if task.state == "Failed" else ""
            notes.print(f"[{COLOURS[task.state]}]{task.state:>10}[/]  {escape(task.task)}{text}", soft_wrap=True)

    warning = asyncio.create_task(_warn(board))
    try:
        return await follow(cluster, board, changed)
    finally:
        warning.cancel()
        await asyncio.gather(warning, return_exceptions=True)


async def _warn(board: Board) -> None:
    """Tell once of each task that is slow."""
    told = set()
    while True:
        await asyncio.sleep(QUIET_CHECK)
        status = board.status
        for line in slow_tasks(status, time.time()) if status else []:
            if (name := line.split()[0]) not in told:
                told.add(name)
                notes.print(f"[yellow]slow:[/] {escape(line)}")
