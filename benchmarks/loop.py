"""Overhead of the loop and the status command: ``python -m benchmarks.loop --out docs/benchmarks/loop.md``.

The loop runs for real, with an engine that is a sleeping process and a harness that makes no load, so that what is
left is overhead: choosing, storing, claiming, starting and ending processes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from servelab.catalog.study import load_study
from servelab.lab.run import run_study
from servelab.spec.deployment import Failure
from servelab.spec.study import Study
from servelab.spec.trial import Timings, Trial
from servelab.store.store import Store

STUDY = """
name: overhead
model: {id: m}
engine: {name: simulated, arguments: {startup_seconds: 0, max_model_len: 1024}}
harness: nop
workload: {prompt: 8, output: 8}
load: {concurrency: 1, requests: 1}
space:
  parameters:
    max_num_seqs: {low: 1, high: 1024, log: true}
    max_num_batched_tokens: {low: 1024, high: 32768, log: true}
objectives: [maximize output_throughput]
sampler: SAMPLER
budget: {trials: 1000000, screening: 0, verification: {top: 0}}
"""

MEASURED = 12  # trials run for real at each size


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as home:
        os.environ["SERVELAB_HOME"] = home
        lines = [
            "# The loop",
            "",
            "Seconds of a trial that are neither engine start, nor measurement, nor engine stop: choosing the next",
            "configuration, storing, claiming, finishing. Median over trials run for real; the store already holds",
            "the trials of the first column. Written by `make bench-loop`; the machine's noise is in it.",
            "",
            "| trials in the store | sampler | overhead per trial, ms |",
            "|---:|---|---:|",
        ]
        for sampler in ("random", "tpe", "auto"):
            for size in (0, 100, 1000):
                lines.append(f"| {size} | {sampler} | {overhead(Path(home), sampler, size) * 1000:.0f} |")
                print(lines[-1], flush=True)
        lines += ["", "| command | trials | whole process, ms (median of 7) |", "|---|---:|---:|"]
        for command, milliseconds in status_times(Path(home)):
            lines.append(f"| `{command}` | 10,000 | {milliseconds:.0f} |")
            print(lines[-1], flush=True)
    if out is not None:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def overhead(home: Path, sampler: str, size: int) -> float:
    """Median overhead per trial in seconds, with ``size`` trials in the store before."""
    study = load_study(STUDY.replace("SAMPLER", sampler))
    store = Store(str(home / f"{sampler}-{size}.db"))
    record = store.create_study(study)
    fill(store, record.id, size)
    limited = study.model_copy(update={"budget": study.budget.model_copy(update={"trials": size + MEASURED})})
    replace_document(store, record.id, limited)
    began = time.perf_counter()
    asyncio.run(run_study(store, record.id))
    wall = time.perf_counter() - began
    new = store.trials(record.id)[size:]
    claimed = {e.trial: e.time for e in store.events(0, record.id, 10**6) if e.kind == "claimed"}
    finished = [trial.finished_at or 0.0 for trial in new]
    # From one trial's end to the next one's, less what the attempt itself took.
    gaps = [b - a - trial.timings.total for a, b, trial in zip(finished, finished[1:], new[1:], strict=False)]
    assert len(claimed) >= len(new), wall
    return median(gaps)


def fill(store: Store, study_id: str, size: int) -> None:
    """Put finished trials into the store, as the loop would."""
    if not size:
        return
    space = [(1 + i % 1024, 1024 + i) for i in range(size)]
    store.add_trials(
        study_id,
        [
            Trial(
                number=i,
                parameters={"max_num_seqs": a, "max_num_batched_tokens": b},
                kind="baseline" if i == 0 else "search",
            )
            for i, (a, b) in enumerate(space)
        ],
    )
    failure = Failure(kind="crash", stage="ready", message="made up")
    for i in range(size):
        trial = store.claim(study_id, "filler")
        assert trial is not None
        failed = i % 10 == 9
        store.finish_trial(
            study_id,
            trial.number,
            "filler",
            state="failed" if failed else "complete",
            failure=failure if failed else None,
            timings=Timings(total=1.0),
            outcome={} if failed else {"output_throughput": 100.0 + i % 50},
            value=None if failed else 100.0 + i % 50,
            feasible=None if failed else True,
        )


def replace_document(store: Store, study_id: str, study: Study) -> None:
    """Give the study another budget."""
    with store._writing() as connection:
        connection.exec_driver_sql("UPDATE studies SET document = ? WHERE id = ?", (study.model_dump_json(), study_id))


def status_times(home: Path) -> list[tuple[str, float]]:
    """Whole-process times of ``servelab status`` with 10,000 trials, in milliseconds."""
    path = home / "status.db"
    store = Store(str(path))
    record = store.create_study(load_study(STUDY.replace("SAMPLER", "random")))
    fill(store, record.id, 10_000)
    found = []
    for arguments in (("status",), ("status", record.id), ("--version",)):
        times = []
        for _ in range(7):
            began = time.perf_counter()
            store_arguments = ("--store", str(path)) if arguments[0] == "status" else ()
            command = [sys.executable, "-m", "servelab", *arguments, *store_arguments]
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        found.append((f"servelab {' '.join(arguments[:1] + ('STUDY',) * (len(arguments) - 1))}", median(times) * 1000))
    return found


if __name__ == "__main__":
    main()
