"""A process of the load generator: a Task on standard input, progress and a Part on standard output.

A process of its own, on cores of its own, so that neither the display nor the sampler disturbs the measurement.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from pathlib import Path
from time import perf_counter

import uvloop

from servelab.harnesses.builtin.http import Client
from servelab.harnesses.builtin.load import AllFailed, LoadGenerator
from servelab.harnesses.builtin.part import Part
from servelab.harnesses.builtin.prompts import ProbeFailed, Prompts, prepare_prompts
from servelab.harnesses.builtin.record import Record, RecordFile
from servelab.harnesses.builtin.shares import Share
from servelab.harnesses.builtin.start import Start
from servelab.harnesses.builtin.summary import Tally
from servelab.harnesses.builtin.task import API_KEY, Line, Task
from servelab.harnesses.builtin.watch import LagWatch, ServerWatch
from servelab.spec.errors import ServelabError

PROGRESS_EVERY = 0.25  # seconds
EXIT_ORPHANED = 3
TIMELINE = "server.jsonl"


class Failed(Exception):
    """The measurement is impossible."""


def main() -> None:
    """Measure once."""
    task = Task.model_validate_json(sys.stdin.readline())
    if task.cpus:
        os.sched_setaffinity(0, task.cpus)
    # Collecting garbage in the middle of a stream would show as latency.
    gc.freeze()
    gc.disable()
    try:
        say(Line(share=1.0, part=uvloop.run(measure(task))))
    except Failed as error:
        say(Line(failure=str(error)))


async def measure(task: Task) -> Part:
    """Put this process's share of the load on the server.

    Raises:
        Failed: the server answers nothing, or the workload cannot be read.
    """
    key = os.environ.get(API_KEY)
    client = Client(task.url, {"Authorization": f"Bearer {key}"} if key else {})
    prompts = await _prompts(client, task)
    start = Start(None if task.share.workers == 1 else lambda: say(Line(ready=True)))
    generator = LoadGenerator(client, task.model, task.workload, prompts, task.share, task.request_timeout, start)
    tally = Tally(task.request_slo)
    lag = LagWatch(generator.flying)
    server = _server_watch(task, generator)
    beside = [lag.watch(), _progress(generator, task.share, task.parent), *([server.watch()] if server else [])]
    watchers = [asyncio.ensure_future(watcher) for watcher in beside]
    try:
        with RecordFile(Path(task.records)) as file:

            def keep(one: Record, gaps: list[float], intervals: list[float]) -> None:
                tally.add(one, gaps, intervals)
                file.write(one)

            await generator.run(task.seed, keep)
        if server is not None:
            await server.look()
    except AllFailed as error:
        detail = f": {error.answer.detail}" if error.answer.detail else ""
        raise Failed(f"the first {generator.done} requests all failed ({error.answer.error}{detail})") from None
    finally:
        for watcher in watchers:
            watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*watchers, return_exceptions=True)
        client.close()
    return Part(
        tally=tally,
        windows=(generator.window,),
        settling=generator.settling,
        lags=lag.lags,
        cpu=lag.cpu,
        concurrency=lag.concurrency,
        asked=generator.asked,
        last_sent=generator.last_sent,
        waited=generator.waited,
        server=server.summary() if server else {},
    )


def _server_watch(task: Task, generator: LoadGenerator) -> ServerWatch | None:
    if task.metrics_url is None or not task.server_metrics:
        return None
    timeline = Path(task.records).with_name(TIMELINE)
    watch = ServerWatch(task.metrics_url, task.server_metrics, timeline, generator.moment)
    generator.on_begin = watch.begin
    return watch


async def _prompts(client: Client, task: Task) -> Prompts:
    try:
        return await prepare_prompts(client, task.model, task.workload, task.seed)
    except ProbeFailed as error:
        raise Failed(f"the server does not answer a small request ({error})") from None
    except ServelabError as error:
        raise Failed(error.message) from None


async def _progress(generator: LoadGenerator, share: Share, parent: int) -> None:
    """Say how far the measurement is, until cancelled; end when servelab is gone and nobody listens."""
    while True:
        await asyncio.sleep(PROGRESS_EVERY)
        if os.getppid() != parent:
            os._exit(EXIT_ORPHANED)
        shares = [generator.done / share.requests] if share.requests and generator.start else []
        seconds = share.load.seconds
        shares += [(perf_counter() - generator.start) / seconds] if seconds and generator.start else []
        say(Line(share=min(1.0, max(shares, default=0.0))))


def say(line: Line) -> None:
    """Write a line for servelab.

    The pipe takes a part of a long line at a time once uvloop has run, and standard output, where it has no buffer
    (PYTHONUNBUFFERED), would lose the rest.
    """
    with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as pipe:
        pipe.write(line.model_dump_json(exclude_defaults=True).encode() + b"\n")


if __name__ == "__main__":
    main()
