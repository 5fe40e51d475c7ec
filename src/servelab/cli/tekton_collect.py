"""Collecting the results of a run."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from servelab.cli.output import console, notes, print_json
from servelab.cli.tekton_runs import EXIT_FAILURE, Source, Where
from servelab.kube.cluster import Cluster, connect
from servelab.kube.labels import WHOLE
from servelab.spec.errors import NotFoundError
from servelab.store.store import open_store
from servelab.tekton.board import Board
from servelab.tekton.collect import Collected, collect, collect_from_bucket
from servelab.tekton.explain import explain
from servelab.tekton.follow import snapshot
from servelab.tekton.keep import keep
from servelab.tekton.kinds import PIPELINE_RUN
from servelab.tekton.source import read_source

ANNOTATION = "servelab/collected"  # the study in whose store the results are


async def collect_run(run: str, source: Source, where: Where, store: str | None, *, json: bool) -> int:
    """Copy the files, store the measurements once, and say where both are; the exit code."""
    directory = source.output or Path("servelab-results") / run
    async with connect(where.context, namespace=where.namespace) as cluster:
        board = await snapshot(cluster, run)
        with _progress(quiet=json) as progress:
            bars: dict[str, TaskID] = {}

            def told(trial: str, done: int, total: int) -> None:
                if trial not in bars:
                    bars[trial] = progress.add_task("results" if trial == WHOLE else f"treatment {trial}")
                progress.update(bars[trial], completed=done, total=total)

            if source.s3:
                collected = await collect_from_bucket(board, await read_source(cluster, run), directory, told)
            else:
                collected = await collect(cluster, board, directory, source.image, told)
        study = await _keep(cluster, board, collected, store)
    count = sum(map(len, collected.reports.values()))
    if json:
        files = {trial: [str(file) for file in files] for trial, files in collected.files.items()}
        print_json({"directory": str(directory), "files": files, "measurements": count, "study": study})
        return 0 if collected.files else EXIT_FAILURE
    for trial in collected.missing:
        notes.print(
            f"[yellow]treatment {escape(trial)} left no results {'in the bucket' if source.s3 else 'on the volume'}[/]"
        )
    total = sum(map(len, collected.files.values()))
    checked = "" if source.s3 else ", checked by SHA-256"
    console.print(f"{total} files{checked}: {escape(str(directory))}", soft_wrap=True)
    if study:
        console.print(f"{count} measurements are in study {study}: servelab report {study}")
    else:
        notes.print("no measurement of a known load generator is among them")
    return 0 if collected.files else EXIT_FAILURE


async def _keep(cluster: Cluster, board: Board, collected: Collected, store: str | None) -> str:
    """The study with the measurements; made at the first collection that found some."""
    assert board.run is not None, "a run that was found"
    opened = open_store(store)
    known = (board.run["metadata"].get("annotations") or {}).get(ANNOTATION, "")
    if known in {row.id for row in opened.list_studies()}:
        return str(known)
    if not any(collected.reports.values()):
        return ""
    try:
        experiment = await read_source(cluster, board.name)
    except NotFoundError as error:
        notes.print(f"[yellow]{escape(error.message)}: its measurements are not stored[/]")
        return ""
    record = keep(opened, experiment, collected, await explain(cluster, board))
    await cluster.merge(PIPELINE_RUN, board.name, {"metadata": {"annotations": {ANNOTATION: record.id}}})
    return record.id


def _progress(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn())
    return Progress(*columns, console=notes, transient=True, disable=quiet or not notes.is_terminal)
