"""Submitting an experiment step by step, and again with a fix."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from platformdirs import user_state_path
from rich.markup import escape

from servelab.cli.output import console, notes, read_text
from servelab.cli.tekton_collect import collect_run
from servelab.cli.tekton_live import watch_run
from servelab.cli.tekton_runs import EXIT_CANCELLED, EXIT_FAILURE, Files, How, Source, Where, parse_settings
from servelab.cli.tekton_view import diagnosis_panel
from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import Manifest
from servelab.spec.base import Value
from servelab.spec.errors import ClusterError, DocumentError
from servelab.spec.finding import Finding
from servelab.tekton.board import Board
from servelab.tekton.cleanup import remove_run
from servelab.tekton.collision import taken_names
from servelab.tekton.control import cancel
from servelab.tekton.definitions import read_definitions
from servelab.tekton.diagnosis import Diagnosis
from servelab.tekton.experiment import (
    RUN,
    TEMPLATE,
    VALUES,
    Compiled,
    Experiment,
    compile_experiment,
    read_directory,
    read_experiment,
)
from servelab.tekton.explain import explain
from servelab.tekton.follow import snapshot
from servelab.tekton.from_study import study_experiment, with_shipped_pipeline
from servelab.tekton.preflight import preflight
from servelab.tekton.revise import chosen_option, revised
from servelab.tekton.source import read_source
from servelab.tekton.submit import CollisionError, apply_definitions, deploy, dry_run, require_free
from servelab.tekton.values import read_mapping

MARKS = {"ok": "[green]✓[/]", "note": "[cyan]·[/]", "problem": "[red]✗[/]"}


async def submit_experiment(source: Path | None, files: Files, how: How, where: Where) -> int:
    """Read, check, deploy and follow an experiment; the exit code."""
    experiment = load(source, files, how.id)
    async with connect(where.context, namespace=where.namespace) as cluster:
        named = experiment.renamed(how.id or experiment.name, cluster.namespace)
        return await take_steps(cluster, named, read_definitions(files.tasks or ()), how)


async def resubmit(
    run: str, fix: int, given: Mapping[str, Value], tasks: Sequence[Path], how: How, where: Where
) -> int:
    """Submit a failed run again with a fix, or with changes; the exit code."""
    async with connect(where.context, namespace=where.namespace) as cluster:
        experiment = await read_source(cluster, run)
        diagnosis = await explain(cluster, await snapshot(cluster, run))
        if diagnosis is None and fix:
            raise DocumentError((f"run {run} did not fail, so there is no fix to choose",), "Use --set NAME=VALUE.")
        return await _again(cluster, experiment, diagnosis, fix, given, read_definitions(tasks), how)


async def _again(
    cluster: Cluster,
    experiment: Experiment,
    diagnosis: Diagnosis | None,
    fix: int,
    given: Mapping[str, Value],
    definitions: Sequence[Manifest],
    how: How,
) -> int:
    option = chosen_option(diagnosis, fix) if diagnosis is not None and fix else None
    trial = diagnosis.trial if diagnosis else ""
    new, changes = revised(experiment, trial, option, given, await taken_names(cluster))
    new = new.renamed(how.id or new.name, cluster.namespace)
    what = ", ".join(map(str, changes)) or "no changes"
    console.print(f"{escape(experiment.name)} -> [b]{escape(new.name)}[/]: {escape(what)}")
    return await take_steps(cluster, new, definitions, replace(how, id=""))


def load(source: Path | None, files: Files, name: str = "") -> Experiment:
    """The experiment of a study, or in a directory, with files that are named instead of its own.

    Raises:
        DocumentError: a file is missing, or not what it should be.
    """
    if source is not None and not source.is_dir():
        values = read_mapping(read_text(files.values), str(files.values)) if files.values else None
        return study_experiment(read_text(source), str(source), values, name)
    texts = read_directory(source) if source is not None else {}
    for file, path in ((TEMPLATE, files.template), (VALUES, files.values), (RUN, files.run)):
        if path is not None:
            texts[file] = read_text(path)
    if TEMPLATE not in texts and {VALUES, RUN} <= texts.keys():
        texts = with_shipped_pipeline(texts)
    return read_experiment(texts, str(source or "the command line"))


async def take_steps(cluster: Cluster, experiment: Experiment, definitions: Sequence[Manifest], how: How) -> int:
    """The seven steps of a submission."""
    compiled = compile_experiment(experiment, definitions)
    _step(1, "Pre-flight checks")
    if not await _check(cluster, compiled, how):
        notes.print("nothing was submitted; mend this, or go on nevertheless with --no-checks")
        return 1
    if how.dry_run:
        await dry_run(cluster, compiled)
        console.print(f"the cluster accepts all {len(compiled.definitions) + 2} manifests; nothing was changed")
        return 0
    experiment, compiled = await _without_collision(cluster, experiment, compiled, definitions, how)
    _step(2, "Applying Tekton task definitions")
    steps, tasks = await apply_definitions(cluster, compiled)
    _done(f"applied {steps} StepActions and {tasks} Tasks")
    _step(3, "Generating configuration files")
    for file in _write(experiment):
        console.print(f"  → {escape(str(file))}", soft_wrap=True)
    _step(4, "Building pipeline from template")
    await dry_run(cluster, compiled)
    spec = compiled.pipeline["spec"]
    _done(f"{len(spec['tasks'])} tasks and {len(spec.get('finally') or [])} final ones; the cluster accepts them")
    _step(5, "Deploying to cluster")
    await deploy(cluster, experiment, compiled)
    _done(f"Pipeline and PipelineRun {experiment.name!r} created in {cluster.namespace}")
    if how.detach:
        notes.print(f"follow it: servelab tekton status {experiment.name} -f -n {cluster.namespace}", soft_wrap=True)
        return 0
    _step(6, "Monitoring deployment")
    return await _follow(cluster, experiment, definitions, how)


async def _check(cluster: Cluster, compiled: Compiled, how: How) -> bool:
    """Whether the checks allow to go on; a taken id is asked about later."""
    problems = await _told(preflight(cluster, compiled.needs))
    if "namespace" in problems and not how.yes and _asked() and _confirmed(f"Create namespace {cluster.namespace}?"):
        problems = await _told(preflight(cluster, compiled.needs, fix=True))
    return not problems - {"experiment id"} or not how.checks


async def _told(findings: AsyncIterator[Finding]) -> set[str]:
    """Print what checks find; the names of those that found a problem."""
    problems = set()
    async for finding in findings:
        console.print(f"  {MARKS[finding.verdict]} {finding.check}: {escape(finding.text)}", soft_wrap=True)
        if finding.verdict == "problem":
            problems.add(finding.check)
            for line in finding.remedy.splitlines() if finding.check != "experiment id" else ():
                console.print(f"      {escape(line)}", soft_wrap=True)
    return problems


async def _without_collision(
    cluster: Cluster, experiment: Experiment, compiled: Compiled, definitions: Sequence[Manifest], how: How
) -> tuple[Experiment, Compiled]:
    """The experiment under an id that is free, after asking where a person is there to be asked."""
    try:
        await require_free(cluster, experiment.name, replace=how.replace)
        return experiment, compiled
    except CollisionError as collision:
        if how.yes or not _asked():
            raise
        console.print(f"⚠ {escape(collision.message)}")
        for line in (f"[1] use {collision.free}", "[2] delete that run and reuse its id", "[3] enter another id"):
            console.print(f"  {line}", markup=False)
        answer = console.input("Select 1-3: ").strip()
        if answer == "2":
            await require_free(cluster, experiment.name, replace=True)
            return experiment, compiled
        name = collision.free if answer == "1" else console.input("Experiment id: ").strip()
        renamed = experiment.renamed(name, cluster.namespace)
        await require_free(cluster, name)
        return renamed, compile_experiment(renamed, definitions)


async def _follow(cluster: Cluster, experiment: Experiment, definitions: Sequence[Manifest], how: How) -> int:
    board = Board(experiment.name)
    status = await watch_run(cluster, board)
    name, where = experiment.name, cluster.namespace
    if status is None:
        notes.print(f"the run goes on; look again: servelab tekton status {name} -f -n {where}", soft_wrap=True)
        return 0
    if board.gone:
        return EXIT_CANCELLED
    if status.state == "SUCCESS":
        return await _results(cluster, name, how)
    if status.state == "CANCELLED":
        notes.print(f"cancelled; remove it: servelab tekton cleanup {name} -n {where}", soft_wrap=True)
        return EXIT_CANCELLED
    return await _recover(cluster, experiment, board, definitions, how)


async def _results(cluster: Cluster, name: str, how: How) -> int:
    """Offer to bring the results here and to remove the run, or say how."""
    _step(7, "Results")
    where = Where(cluster.namespace, cluster.access.context)
    asked = _asked() and not how.yes
    if asked and _confirmed("Bring the results here?"):
        await collect_run(name, Source(), where, None, json=False)
    else:
        _done(f"bring them here: servelab tekton collect {name} -n {cluster.namespace}")
    if asked and _confirmed("Remove the run from the cluster?"):
        _done(f"removed: {len(await remove_run(cluster, name))} objects")
    else:
        console.print(f"    remove the run: servelab tekton cleanup {name} -n {cluster.namespace}", soft_wrap=True)
    return 0


async def _recover(
    cluster: Cluster, experiment: Experiment, board: Board, definitions: Sequence[Manifest], how: How
) -> int:
    """Show why a run failed; where a person is there, let it choose a fix and go on with that."""
    diagnosis = await explain(cluster, board)
    if diagnosis is None:
        return EXIT_FAILURE
    console.print(diagnosis_panel(diagnosis))
    if how.yes or not _asked() or not diagnosis.options:
        notes.print(f"take one: servelab tekton retry {experiment.name} --fix N -n {cluster.namespace}", soft_wrap=True)
        return EXIT_FAILURE
    question = f"Select option 1-{len(diagnosis.options)}, or write NAME=VALUE ..., or nothing to stop: "
    answer = console.input(question).strip()
    if not answer:
        return EXIT_FAILURE
    number = int(answer) if answer.isdigit() else 0
    given = {} if number else parse_settings(answer.split())
    if number:
        for name in chosen_option(diagnosis, number).asks:
            given |= parse_settings([f"{name}={console.input(f'{name}: ').strip()}"])
    await _offer_cancel(cluster, board)
    return await _again(cluster, experiment, diagnosis, number, given, definitions, how)


async def _offer_cancel(cluster: Cluster, board: Board) -> None:
    """A failed run may still be measuring its other treatments."""
    if board.status is None or board.status.final:
        return
    if _confirmed("Other treatments still run. Cancel them?"):
        try:
            await cancel(cluster, board.name)
        except ClusterError as error:
            notes.print(escape(error.message))


def _write(experiment: Experiment) -> list[Path]:
    """Keep the files of what was submitted, for their owner alone."""
    directory = user_state_path("servelab") / "tekton" / experiment.name
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    for name, text in experiment.files.items():
        (directory / name).write_text(text, encoding="utf-8")
        written.append(directory / name)
    return written


def _asked() -> bool:
    return console.is_terminal and sys.stdin.isatty()


def _confirmed(question: str) -> bool:
    return console.input(f"{question} \\[y/N] ").strip().lower() in ("y", "yes")


def _step(number: int, text: str) -> None:
    console.print(f"[b]\\[{number}/7][/] {text}")


def _done(text: str) -> None:
    console.print(f"  [green]✓[/] {escape(text)}", soft_wrap=True)
