"""The builtin harness: runs the load generator's process and makes a Report of what it measured."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from servelab import __version__
from servelab.harnesses.base import Job, Progress
from servelab.harnesses.benchmark_report import benchmark_report
from servelab.harnesses.builtin.task import BuiltinOptions, Line, Result, Task
from servelab.harnesses.provenance import provenance
from servelab.spec.errors import MeasureError
from servelab.spec.options import read_options
from servelab.spec.report import Report

COMMAND = (sys.executable, "-m", "servelab.harnesses.builtin")
RECORDS = "records.jsonl.gz"
LINE_LIMIT = 1 << 24  # bytes of a result


class Builtin:
    """Streams requests over HTTP and times every token; see docs/measuring.md."""

    name: ClassVar[str] = "builtin"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(BuiltinOptions, options, self.name)

    async def measure(self, job: Job, progress: Callable[[Progress], None]) -> Report:
        """Measure in a process of its own; cancellation kills it.

        Raises:
            MeasureError: the workload is beyond this harness, or the server answers nothing at all.
        """
        _require_possible(job)
        started = datetime.now(UTC)
        result = await self._run(self._task(job), progress)
        if result.failure is not None:
            raise MeasureError(result.failure, "Check the server's log, the model's name, and SERVELAB_API_KEY.")
        return _report(job, result, started)

    def _task(self, job: Job) -> Task:
        return Task(
            url=job.deployment.url,
            metrics_url=job.deployment.metrics_url,
            model=job.deployment.model,
            workload=job.workload,
            load=job.load,
            seed=job.seed,
            request_slo=job.request_slo,
            max_concurrency=job.max_concurrency,
            server_metrics=dict(job.server_metrics),
            cpus=job.cpus,
            request_timeout=self._options.request_timeout,
            records=str(job.directory / RECORDS),
            parent=os.getpid(),
        )

    async def _run(self, task: Task, progress: Callable[[Progress], None]) -> Result:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_LIMIT)
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        complaints = asyncio.ensure_future(child.stderr.read())
        try:
            child.stdin.write(task.model_dump_json().encode())
            child.stdin.close()
            async for text in child.stdout:
                line = Line.model_validate_json(text)
                if line.result is not None:
                    return line.result
                progress(Progress(done=line.share, total=1.0))
            last = (await complaints).decode(errors="replace").strip().splitlines()
            raise MeasureError(
                f"the load generator died: {last[-1] if last else 'without a word'}", "This is a fault of servelab."
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
            complaints.cancel()


def _require_possible(job: Job) -> None:
    if job.workload.turns > 1:
        raise MeasureError("the builtin harness cannot do several turns yet", "Leave it out, or use another harness.")


def _report(job: Job, result: Result, started: datetime) -> Report:
    report = Report(
        load=job.load,
        metrics=result.metrics,
        requests=result.requests,
        duration=result.duration,
        errors=result.errors,
        quantiles=result.quantiles,
        intervals=result.intervals,
        steady_from=result.steady_from,
        server={
            **result.server,
            "tokens_per_chunk": result.tokens_per_chunk,
            **({"reasoning_tokens": result.reasoning_tokens} if result.reasoning_tokens else {}),
        },
        client=result.client,
        warnings=result.warnings,
        provenance=provenance(job, Builtin.name, __version__, started, COMMAND[1:]),
        records=RECORDS,
    )
    return report.model_copy(update={"standard": benchmark_report(report, job.workload)})
