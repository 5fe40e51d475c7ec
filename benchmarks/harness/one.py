"""One harness, one case, in a process of its own whose children's use of the machine is its own.

``python -m benchmarks.harness.one NAME URL CASE``; metrics and usage go to standard output as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from servelab.harnesses.base import harness
from servelab.harnesses.builtin.known import Schedule
from servelab.harnesses.builtin.selftest import Case

BARE = "bare socket"


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
        job = case.job(url, Path(directory), tuple(os.sched_getaffinity(0)))
        report = asyncio.run(harness(name, {}).measure(job, lambda progress: None))
    if report.errors:
        raise SystemExit(f"{name}: {report.errors}")
    return report.metrics


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
