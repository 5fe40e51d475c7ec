"""Commands that run studies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import psutil
from rich.markup import escape

from servelab.catalog.study import load_study
from servelab.cli.live import Live
from servelab.cli.main import EXIT_INTERRUPTED
from servelab.cli.output import Json, StoreUrl, console, notes, print_json, read_text
from servelab.lab.lock import working_alone
from servelab.lab.quickstart import quickstart_study
from servelab.lab.results import finish_report, results_directory
from servelab.lab.run import run_study, work_on
from servelab.lab.tune import TuneRequest, tuning_study
from servelab.lab.validate import require_valid
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store, open_store

EXIT_STUDY_FAILED = 7
EXIT_UNFINISHED = 8

Output = Annotated[Path | None, cyclopts.Parameter(name=["--output", "-o"], help="Directory for the report.")]


def quickstart(*, output: Output = None, store: StoreUrl = None, json: Json = False) -> int:
    """Tune llama.cpp for a chat workload under an SLO on this machine."""
    return create_and_run(quickstart_study(), store, output, json)


def run(study: Path, *, output: Output = None, store: StoreUrl = None, json: Json = False) -> int:
    """Run the study in a document.

    Parameters
    ----------
    study
        The study, YAML or JSON; - reads standard input.
    """
    return create_and_run(load_study(read_text(study), str(study)), store, output, json)


def tune(
    request: Annotated[TuneRequest, cyclopts.Parameter(name="*")],
    *,
    output: Output = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Tune an engine: its tunable arguments are the space, narrowed by --parameter."""
    return create_and_run(tuning_study(request), store, output, json)


def resume(study: str = "", *, output: Output = None, store: StoreUrl = None, json: Json = False) -> int:
    """Go on with a study where it stopped.

    Parameters
    ----------
    study
        Id, beginning of an id, or name; default: the last one.
    """
    opened = open_store(store)
    return _run(opened, opened.get_study(study), output, json)


def worker(study: str, *, store: StoreUrl = None, json: Json = False) -> int:
    """Work on a study beside other workers, until it ends. Needs a PostgreSQL store.

    Parameters
    ----------
    study
        Id, beginning of an id, or name.
    """
    opened = open_store(store)
    record = opened.get_study(study)
    with Live(opened, record, quiet=json) as live:
        finished = _interruptible(lambda: work_on(opened, record.id, live.observe))
    if not finished:
        return EXIT_INTERRUPTED
    return _conclude(opened, opened.get_study(record.id), json)


def create_and_run(study: Study, store: str | None, output: Path | None, json: bool) -> int:
    """Check a study, store it, and run it to its end."""
    for warning in require_valid(study):
        notes.print(f"[yellow]warning:[/] {escape(warning)}")
    opened = open_store(store)
    return _run(opened, opened.create_study(study), output, json)


def _run(store: Store, record: StudyRecord, output: Path | None, json: bool) -> int:
    if not json:
        console.print(f"study [bold]{record.id}[/]")
    with working_alone(record.id), Live(store, record, quiet=json) as live:
        finished = _interruptible(lambda: run_study(store, record.id, live.observe))
    if not finished:
        notes.print(f"interrupted; go on with [bold]servelab resume {record.id}[/]")
        return EXIT_INTERRUPTED
    record = store.get_study(record.id)
    if record.state == "complete" and record.study.load.estimate:
        from servelab.cli.estimate import conclude

        return conclude(store, record, output, json)
    if record.state in ("complete", "failed"):
        files = finish_report(store, record, output or results_directory(record.id))
        if not json:
            notes.print(f"report: {escape(str(files[0]))}")
            if len(record.study.load.concurrency) > 1 and not record.study.objectives:
                notes.print(f"coefficients of its latency: [bold]servelab estimate --from-study {record.id}[/]")
    return _conclude(store, record, json)


def _conclude(store: Store, record: StudyRecord, json: bool) -> int:
    from servelab.report.summary import print_summary, summary_data

    trials = store.trials(record.id, with_reports=True)
    if json:
        print_json(summary_data(record, trials))
    else:
        print_summary(record, trials, console)
    if record.state == "failed":
        return EXIT_STUDY_FAILED
    return 0 if record.state == "complete" else EXIT_UNFINISHED


def _interruptible(work: Callable[[], Coroutine[Any, Any, StudyRecord]]) -> bool:
    """Run asynchronous ``work``; False when the person interrupted it.

    The first Ctrl-C (or SIGTERM) lets the running trial's clean-up finish, the second kills the engines at once.
    Either way the study can be resumed.
    """

    async def supervised() -> bool:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work())

        def interrupt() -> None:
            if task.cancelling():
                _kill_children()
                os._exit(EXIT_INTERRUPTED)
            notes.print("\nstopping: the engine is shut down first; Ctrl-C again stops at once")
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            await task
        except asyncio.CancelledError:
            return False
        return True

    return asyncio.run(supervised())


def _kill_children() -> None:
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
