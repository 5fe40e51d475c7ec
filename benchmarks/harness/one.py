"""One harness, one case, in a process of its own whose children's use of the machine is its own.

``python -m benchmarks.harness.one NAME URL CASE``; metrics and usage go to standard output as JSON.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.harness.words import write_tokenizer
from servelab.harnesses.base import Job, harness
from servelab.harnesses.builtin.known import Schedule
from servelab.harnesses.builtin.selftest import Case
from servelab.harnesses.external.driver import External
from servelab.harnesses.external.environments import require
from servelab.harnesses.external.recipes import recipe

BARE = "bare socket"
BUILTIN = "builtin"


def run(name: str, url: str, case: Case) -> dict[str, float]:
    """The harness's own metrics of a case."""
    if name == BARE:
        asked = {
            "url": url + case.schedule.path,
            "streams": case.streams,
            "requests": case.requests,
            "tokens": case.tokens,
        }
        command = [sys.executable, "-m", "benchmarks.harness.bare", json.dumps(asked)]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "job"
        place.mkdir()
        job = _told(name, case.job(url, place, tuple(os.sched_getaffinity(0))), Path(directory) / "words")
        report = asyncio.run(harness(name, {}).measure(job, lambda progress: None))
    if report.errors:
        raise SystemExit(f"{name}: {report.errors}")
    return report.metrics


def _told(name: str, job: Job, words: Path) -> Job:
    """The measurement as a peer can be told it: with a tokenizer, and over the API that it has."""
    made = harness(name, {})
    if not isinstance(made, External):
        return job
    apis = made.abilities.apis
    workload = job.workload if job.workload.api in apis else job.workload.model_copy(update={"api": apis[0]})
    tokenizer = write_tokenizer(words, name, require(recipe(name)).program)
    return dataclasses.replace(job, workload=workload, tokenizer=tokenizer)


def main() -> None:
    """Measure once."""
    name, url, text = sys.argv[1:]
    given = json.loads(text)
    case = Case(**{**given, "schedule": Schedule(**given["schedule"])})
    began = perf_counter()
    metrics = run(name, url, case)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "metrics": metrics,
                "began": began,
                "cpu": used.ru_utime + used.ru_stime,
                "memory": used.ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
