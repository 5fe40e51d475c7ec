"""The builtin harness: runs the load generator's processes and makes a Report of what they measured."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from servelab import __version__
from servelab.harnesses.base import Job, Progress
from servelab.harnesses.benchmark_report import benchmark_report
from servelab.harnesses.builtin.fitness import drift, fitness
from servelab.harnesses.builtin.part import Part, merged
from servelab.harnesses.builtin.shares import Share, shares
from servelab.harnesses.builtin.task import BuiltinOptions, Task
from servelab.harnesses.builtin.workers import COMMAND, run_workers
from servelab.harnesses.provenance import provenance
from servelab.spec.errors import MeasureError
from servelab.spec.options import read_options
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.workload import Workload

RECORDS = "records.jsonl.gz"


class Builtin:
    """Streams requests over HTTP and times every token; see docs/measuring.md."""

    name: ClassVar[str] = "builtin"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(BuiltinOptions, options, self.name)

    def check(self, study: Study) -> tuple[str, ...]:
        """Refuse what is left to other harnesses."""
        _require_possible(study.workload)
        return ()

    async def measure(self, job: Job, progress: Callable[[Progress], None]) -> Report:
        """Measure in processes of its own; cancellation kills them.

        Raises:
            MeasureError: the workload is beyond this harness, the server answers nothing at all, or a process died.
        """
        _require_possible(job.workload)
        started = datetime.now(UTC)
        tasks = [self._task(job, share) for share in shares(job.load, job.max_concurrency, self._options.processes)]
        parts = await run_workers(tasks, lambda done: progress(Progress(done=done, total=1.0)))
        return await asyncio.to_thread(_report, job, parts, [Path(task.records) for task in tasks], started)

    def _task(self, job: Job, share: Share) -> Task:
        alone, first = share.workers == 1, share.worker == 0
        return Task(
            url=job.deployment.url,
            metrics_url=job.deployment.metrics_url if first else None,
            model=job.deployment.model,
            workload=job.workload,
            share=share,
            seed=job.seed,
            request_slo=job.request_slo,
            server_metrics=dict(job.server_metrics),
            cpus=job.cpus if alone or not job.cpus else (job.cpus[share.worker % len(job.cpus)],),
            request_timeout=self._options.request_timeout,
            records=str(job.directory / (RECORDS if alone else f"{share.worker}-{RECORDS}")),
            parent=os.getpid(),
        )


def _require_possible(workload: Workload) -> None:
    if workload.turns > 1:
        raise MeasureError("the builtin harness cannot do several turns yet", "Leave it out, or use another harness.")


def _report(job: Job, parts: Sequence[Part], records: Sequence[Path], started: datetime) -> Report:
    _join(records, job.directory / RECORDS)
    whole = merged(parts)
    tally = whole.tally
    report = Report(
        load=job.load,
        metrics=tally.metrics(whole.concurrency, whole.windows),
        requests=tally.requests,
        duration=tally.last_end,
        errors=tally.errors,
        quantiles=tally.quantiles(),
        intervals=tally.intervals(),
        steady_from=whole.settling.steady_from,
        server={
            **whole.server,
            "tokens_per_chunk": tally.output_tokens / tally.chunks if tally.chunks else 1.0,
            **({"reasoning_tokens": round(tally.reasoning_tokens)} if tally.reasoning_tokens else {}),
        },
        client=fitness(whole),
        warnings=(*tally.warnings(), *drift(whole, job.load)),
        provenance=provenance(job, Builtin.name, __version__, started, COMMAND[1:]),
        records=RECORDS,
    )
    return report.model_copy(update={"standard": benchmark_report(report, job.workload)})


def _join(parts: Sequence[Path], whole: Path) -> None:
    """Put the records of several processes into one file: gzip allows to write one after another."""
    if list(parts) == [whole]:
        return
    with whole.open("wb") as sink:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, sink)
            part.unlink()
