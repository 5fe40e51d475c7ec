"""Runs the processes of the load generator, from servelab's side."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from time import perf_counter

from servelab.harnesses.builtin.part import Part
from servelab.harnesses.builtin.task import Line, Task
from servelab.spec.errors import MeasureError, NoAnswerError

COMMAND = (sys.executable, "-m", "servelab.harnesses.builtin")
LINE_LIMIT = 1 << 24  # bytes of a part: nine distributions of a megabyte each, and what JSON makes of them
LEAD = 0.05  # seconds from the moment when all are ready to the one from which requests count


async def run_workers(tasks: Sequence[Task], progress: Callable[[float], None]) -> list[Part]:
    """What each process measured; ``progress`` is told the share that is done. However it ends, no process is left.

    Raises:
        MeasureError: a process found that it cannot measure, or died.
    """
    crew = _Crew(len(tasks), progress)
    running = [asyncio.ensure_future(crew.run(task)) for task in tasks]
    try:
        return await asyncio.gather(*running)
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _Crew:
    """Processes that begin together."""

    def __init__(self, size: int, progress: Callable[[float], None]) -> None:
        self._size = size
        self._progress = progress
        self._shares: dict[int, float] = {}
        self._ready: list[asyncio.StreamWriter] = []

    async def run(self, task: Task) -> Part:
        """Run one process to its end, or kill it."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_LIMIT)
        assert child.stderr is not None
        complaints = asyncio.ensure_future(child.stderr.read())
        try:
            part = await self._listen(child, task)
            if part is None:
                await child.wait()
                raise _died(child, task, (await complaints).decode(errors="replace"))
            return part
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
            complaints.cancel()

    async def _listen(self, child: Process, task: Task) -> Part | None:
        """Follow a process to what it measured; None where it ended without a word."""
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(task.model_dump_json().encode() + b"\n")
        async for text in child.stdout:
            line = Line.model_validate_json(text)
            if line.failure is not None:
                raise NoAnswerError(line.failure, "Check the server's log, the model's name, and SERVELAB_API_KEY.")
            if line.part is not None:
                return line.part
            if line.ready:
                self._ready.append(child.stdin)
                self._begin_together()
            self._shares[task.share.worker] = line.share
            self._progress(sum(self._shares.values()) / self._size)
        return None

    def _begin_together(self) -> None:
        if len(self._ready) == self._size:
            moment = f"{perf_counter() + LEAD}\n".encode()
            for process in self._ready:
                process.write(moment)


def _died(child: Process, task: Task, said: str) -> MeasureError:
    which = f"process {task.share.worker + 1} of {task.share.workers} of the load generator"
    code = child.returncode or 0
    if code < 0:
        return MeasureError(
            f"{which} was ended by signal {-code}", "Look who sends it: the system does when memory is short (dmesg)."
        )
    lines = said.strip().splitlines()
    return MeasureError(f"{which} died: {lines[-1] if lines else 'without a word'}", "This is a fault of servelab.")
