"""The load generator's process: a Task on standard input, progress and a Result on standard output.

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

from servelab.harnesses.builtin.fitness import drift, with_rates
from servelab.harnesses.builtin.http import Client
from servelab.harnesses.builtin.load import AllFailed, LoadGenerator
from servelab.harnesses.builtin.prompts import ProbeFailed, prepare_prompts
from servelab.harnesses.builtin.record import Record, RecordFile
from servelab.harnesses.builtin.summary import Tally, client_health
from servelab.harnesses.builtin.task import API_KEY, Line, Result, Task
from servelab.harnesses.builtin.watch import LagWatch, ServerWatch
from servelab.spec.errors import ServelabError
from servelab.spec.workload import LoadPoint

PROGRESS_EVERY = 0.25  # seconds
EXIT_ORPHANED = 3


def main() -> None:
    """Measure once."""
    task = Task.model_validate_json(sys.stdin.read())
    if task.cpus:
        os.sched_setaffinity(0, task.cpus)
    # Collecting garbage in the middle of a stream would show as latency.
    gc.freeze()
    gc.disable()
    say(Line(kind="result", result=uvloop.run(measure(task))))


async def measure(task: Task) -> Result:
    """Put the load on the server and sum up."""
    key = os.environ.get(API_KEY)
    client = Client(task.url, {"Authorization": f"Bearer {key}"} if key else {})
    try:
        prompts = await prepare_prompts(client, task.model, task.workload, task.seed)
    except ProbeFailed as error:
        return Result(failure=f"the server does not answer a small request ({error})")
    except ServelabError as error:
        return Result(failure=error.message)
    generator = LoadGenerator(client, task.model, task.workload, prompts, task.max_concurrency, task.request_timeout)
    tally = Tally(task.request_slo)
    lag = LagWatch(generator.flying)
    server = ServerWatch(task.metrics_url, task.server_metrics) if task.metrics_url else None
    if server is not None:
        generator.on_begin = server.begin
    beside = [lag.watch(), _progress(generator, task.load, task.parent), *([server.watch()] if server else [])]
    watchers = [asyncio.ensure_future(watcher) for watcher in beside]
    try:
        with RecordFile(Path(task.records)) as file:

            def keep(one: Record, gaps: list[float], intervals: list[float]) -> None:
                tally.add(one, gaps, intervals)
                file.write(one)

            await generator.run(task.load, task.seed, keep)
        if server is not None:
            await server.look()
    except AllFailed as error:
        detail = f": {error.answer.detail}" if error.answer.detail else ""
        return Result(failure=f"the first {generator.done} requests all failed ({error.answer.error}{detail})")
    finally:
        for watcher in watchers:
            watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*watchers, return_exceptions=True)
        client.close()
    return Result(
        metrics=tally.metrics(lag.concurrency, generator.window, generator.busy_until - generator.start),
        requests=tally.requests,
        duration=tally.last_end,
        errors=tally.errors,
        quantiles=tally.quantiles(),
        intervals=tally.intervals(),
        steady_from=generator.settling.steady_from,
        server=server.summary() if server else {},
        client=with_rates(client_health(tally, lag.lags, lag.cpu, generator.waited), generator),
        warnings=(*tally.warnings(), *drift(generator, task.load)),
        exact_prompts=prompts.exact,
        tokens_per_chunk=tally.output_tokens / tally.chunks if tally.chunks else 1.0,
        prompt_tokens=tally.prompt_tokens,
        output_tokens=tally.output_tokens,
        reasoning_tokens=round(tally.reasoning_tokens),
    )


async def _progress(generator: LoadGenerator, load: LoadPoint, parent: int) -> None:
    """Say how far the measurement is, until cancelled; end when servelab is gone and nobody listens."""
    while True:
        await asyncio.sleep(PROGRESS_EVERY)
        if os.getppid() != parent:
            os._exit(EXIT_ORPHANED)
        shares = [generator.done / load.requests] if load.requests and generator.start else []
        shares += [(perf_counter() - generator.start) / load.seconds] if load.seconds and generator.start else []
        say(Line(kind="progress", share=min(1.0, max(shares, default=0.0))))


def say(line: Line) -> None:
    """Write a line for servelab."""
    print(line.model_dump_json(exclude_defaults=True), flush=True)


if __name__ == "__main__":
    main()
