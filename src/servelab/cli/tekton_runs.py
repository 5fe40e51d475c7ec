"""Commands that run experiments as Tekton pipelines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import cyclopts
from rich.markup import escape
from rich.table import Table

from servelab.cli.output import Json, StoreUrl, console, notes, print_json
from servelab.spec.base import Value

EXIT_FAILURE = 7
EXIT_CANCELLED = 8


Tasks = Annotated[
    list[Path] | None,
    cyclopts.Parameter(help="File or directory with StepActions and Tasks to apply; may be repeated."),
]


@cyclopts.Parameter(name="*")
@dataclass
class Where:
    """Which cluster and namespace."""

    namespace: Annotated[str, cyclopts.Parameter(name=["--namespace", "-n"], help="Default: the context's.")] = ""
    context: Annotated[str, cyclopts.Parameter(help="A kubeconfig's context; default: the current one.")] = ""


@cyclopts.Parameter(name="*")
@dataclass
class Files:
    """The files of an experiment."""

    template: Annotated[Path | None, cyclopts.Parameter(name=["--template", "-t"], help="Pipeline template.")] = None
    values: Annotated[Path | None, cyclopts.Parameter(name=["--values", "-f"], help="Values of the template.")] = None
    run: Annotated[Path | None, cyclopts.Parameter(name=["--pipelinerun", "-r"], help="PipelineRun.")] = None
    tasks: Tasks = None


@cyclopts.Parameter(name="*")
@dataclass
class How:
    """How an experiment is submitted."""

    id: Annotated[str, cyclopts.Parameter(help="Experiment id; default: the PipelineRun's name.")] = ""
    replace: Annotated[bool, cyclopts.Parameter(negative="", help="Delete a run that has this id.")] = False
    dry_run: Annotated[bool, cyclopts.Parameter(negative="", help="The cluster checks it, nothing more.")] = False
    detach: Annotated[bool, cyclopts.Parameter(name=["--detach", "-d"], negative="", help="Do not follow it.")] = False
    yes: Annotated[bool, cyclopts.Parameter(name=["--yes", "-y"], negative="", help="Ask nothing.")] = False
    checks: Annotated[bool, cyclopts.Parameter(help="Stop when a check before the run finds a problem.")] = True


@cyclopts.Parameter(name="*")
@dataclass
class Source:
    """Where results are, and where they go."""

    output: Annotated[Path | None, cyclopts.Parameter(name=["--output", "-o"], help="Directory for the files.")] = None
    s3: Annotated[bool, cyclopts.Parameter(negative="", help="From the bucket that the run uploaded to.")] = False
    image: Annotated[str, cyclopts.Parameter(help="Image of the pod that reads the volume.")] = ""


Follow = Annotated[bool, cyclopts.Parameter(name=["--follow", "-f"], negative="", help="Until the run ends.")]
RunName = Annotated[str, cyclopts.Parameter(help="Name of the run, which is the experiment's id.")]


def submit(
    experiment: Annotated[
        Path | None,
        cyclopts.Parameter(help="A study, or a directory that servelab ask wrote.", allow_leading_hyphen=True),
    ] = None,
    *,
    files: Files | None = None,
    how: How | None = None,
    where: Where | None = None,
) -> int:
    """Submit an experiment as a Tekton pipeline, and follow it."""
    from servelab.cli.tekton_submit import submit_experiment

    return asyncio.run(submit_experiment(experiment, files or Files(), how or How(), where or Where()))


def retry(
    run: RunName,
    *,
    fix: Annotated[int, cyclopts.Parameter(help="Number of the suggested fix; 0: none.")] = 0,
    set: Annotated[list[str] | None, cyclopts.Parameter(help="An engine parameter to change, as NAME=VALUE.")] = None,
    tasks: Tasks = None,
    how: How | None = None,
    where: Where | None = None,
) -> int:
    """Submit a failed run again with a suggested fix, or with changes of your own, under a new id."""
    from servelab.cli.tekton_submit import resubmit

    return asyncio.run(resubmit(run, fix, parse_settings(set or ()), tasks or (), how or How(), where or Where()))


def status(
    run: Annotated[str, cyclopts.Parameter(help="Name of the run; default: a line for each.")] = "",
    *,
    follow: Follow = False,
    where: Where | None = None,
    json: Json = False,
) -> int:
    """Show the runs in a namespace, or one run; -f follows it."""
    return asyncio.run(_status(run, where or Where(), follow=follow, json=json))


def logs(
    run: RunName,
    task: Annotated[str, cyclopts.Parameter(help="Name of a task; default: all.")] = "",
    *,
    follow: Follow = False,
    where: Where | None = None,
) -> None:
    """Print what the tasks of a run print."""
    asyncio.run(_logs(run, task, where or Where(), follow=follow))


def pods(run: RunName, *, where: Where | None = None, json: Json = False) -> None:
    """Show the engines' pods of a run."""
    asyncio.run(_pods(run, where or Where(), json=json))


def cancel(
    run: RunName,
    *,
    now: Annotated[bool, cyclopts.Parameter(negative="", help="Without the final tasks that clean up.")] = False,
    where: Where | None = None,
) -> None:
    """End a run; its final tasks still clean up."""
    asyncio.run(_cancel(run, where or Where(), now=now))


def cleanup(run: RunName, *, where: Where | None = None, json: Json = False) -> None:
    """Delete a run that has ended, with everything of it; with the last one, our Tasks too. Results stay."""
    asyncio.run(_cleanup(run, where or Where(), json=json))


def collect(
    run: RunName,
    *,
    source: Source | None = None,
    where: Where | None = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Bring a run's results here: raw files into a directory, measurements into the store."""
    from servelab.cli.tekton_collect import collect_run

    return asyncio.run(collect_run(run, source or Source(), where or Where(), store, json=json))


def parse_settings(texts: Iterable[str]) -> dict[str, Value]:
    """``NAME=VALUE`` texts as parameters, the values read as YAML reads them.

    Raises:
        DocumentError: one has no ``=``.
    """
    from ruamel.yaml import YAML

    from servelab.spec.errors import DocumentError

    found: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise DocumentError((f"{text!r} is not NAME=VALUE",), "Write for example --set max_model_len=4096.")
        found[name.lstrip("-").replace("-", "_")] = YAML(typ="safe", pure=True).load(value)
    return found


async def _status(run: str, where: Where, *, follow: bool, json: bool) -> int:
    from servelab.cli.tekton_live import watch_run
    from servelab.cli.tekton_view import diagnosis_panel, view
    from servelab.kube.cluster import connect
    from servelab.tekton.board import Board
    from servelab.tekton.explain import explain
    from servelab.tekton.follow import snapshot

    async with connect(where.context, namespace=where.namespace) as cluster:
        if not run:
            await _list_runs(cluster, json=json)
            return 0
        board = Board(run) if follow else await snapshot(cluster, run)
        if follow:
            await watch_run(cluster, board)
        if board.gone:
            return EXIT_CANCELLED
        found = await explain(cluster, board)
        shown = board.status
        assert shown is not None, "a run that was found"
        if json:
            pods = [asdict(pod) for pod in board.pods]
            print_json({**asdict(shown), "pods": pods, "diagnosis": found})
        elif not follow:
            console.print(view(board, 10_000))
        if found is not None and not json:
            console.print(diagnosis_panel(found))
            notes.print(f"take one: servelab tekton retry {run} --fix N -n {cluster.namespace}", soft_wrap=True)
        return {"FAILURE": EXIT_FAILURE, "CANCELLED": EXIT_CANCELLED}.get(shown.state, EXIT_FAILURE if found else 0)


async def _list_runs(cluster: object, *, json: bool) -> None:
    from servelab.cli.tekton_view import COLOURS, lasted
    from servelab.kube.cluster import Cluster
    from servelab.tekton.kinds import PIPELINE_RUN
    from servelab.tekton.status import run_status

    assert isinstance(cluster, Cluster)
    runs = [run_status(run, ()) for run in (await cluster.list(PIPELINE_RUN)).items]
    if json:
        print_json([asdict(run) for run in runs])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("run", "state", "elapsed", "reason"):
        table.add_column(column)
    for run in sorted(runs, key=lambda one: -(one.started or time.time())):
        state = f"[{COLOURS[run.state]}]{run.state}[/]"
        table.add_row(escape(run.name), state, lasted(run.seconds(time.time())), escape(run.reason))
    console.print(table if runs else f"no runs in {cluster.namespace}")


async def _logs(run: str, task: str, where: Where, *, follow: bool) -> None:
    from servelab.kube.cluster import connect
    from servelab.tekton.runlogs import follow_logs, print_logs

    def emit(of_task: str, step: str, line: str) -> None:
        console.print(f"\\[{escape(of_task)} : {escape(step)}] {escape(line)}", soft_wrap=True)

    async with connect(where.context, namespace=where.namespace) as cluster:
        await (follow_logs if follow else print_logs)(cluster, run, task, emit)


async def _pods(run: str, where: Where, *, json: bool) -> None:
    from servelab.cli.tekton_view import pod_table
    from servelab.kube.cluster import connect
    from servelab.tekton.follow import snapshot

    async with connect(where.context, namespace=where.namespace) as cluster:
        found = (await snapshot(cluster, run)).pods
    if json:
        print_json([asdict(pod) for pod in found])
    else:
        console.print(pod_table(found) if found else "no engine runs")


async def _cancel(run: str, where: Where, *, now: bool) -> None:
    from servelab.kube.cluster import connect
    from servelab.tekton.control import cancel as cancel_run

    async with connect(where.context, namespace=where.namespace) as cluster:
        await cancel_run(cluster, run, now=now)
    console.print(f"{escape(run)} is being cancelled" + ("" if now else "; its final tasks clean up"))


async def _cleanup(run: str, where: Where, *, json: bool) -> None:
    from servelab.kube.cluster import connect
    from servelab.tekton.cleanup import remove_run

    async with connect(where.context, namespace=where.namespace) as cluster:
        removed = await remove_run(cluster, run)
    if json:
        print_json([asdict(one) for one in removed])
        return
    for one in removed:
        console.print(f"deleted {one.kind} {escape(one.name)}")
    if not removed:
        console.print("nothing was left of it")
