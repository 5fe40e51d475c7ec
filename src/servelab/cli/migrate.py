"""The command for what the inference autotuner left: its tasks and results."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import cyclopts
from rich.markup import escape

from servelab.cli.output import Json, StoreUrl, console, notes, print_json, read_text
from servelab.spec.errors import ServelabError
from servelab.tasks.study import MODELS


def import_(
    file: Path,
    *,
    task: Annotated[Path | None, cyclopts.Parameter(help="With a result file: the task that it is of.")] = None,
    output: Annotated[Path, cyclopts.Parameter(name=["--output", "-o"], help="Directory for the studies.")] = Path(),
    models: Annotated[str, cyclopts.Parameter(help="Where models that are named without a slash lie.")] = MODELS,
    force: Annotated[bool, cyclopts.Parameter(negative="", help="Write over studies that are there.")] = False,
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """Read a task or a result file of the inference autotuner.

    A task becomes a study, one for each of its traffic scenarios, written as YAML. A result file becomes a study in
    the store that is done.

    Parameters
    ----------
    file
        task.json, or ..._results.json.
    """
    from servelab.tasks.results import is_results

    text = read_text(file)
    try:
        data = json_module.loads(text)
    except ValueError:
        data = None  # what is wrong is told when it is read as a task
    if is_results(data):
        _import_results(data, file, task, models, store, json)
    else:
        _import_task(text, file, output, models, force, json)


def _import_task(text: str, file: Path, output: Path, models: str, force: bool, json: bool) -> None:
    from servelab.tasks.document import read_task
    from servelab.tasks.study import studies
    from servelab.tasks.write import study_of, study_text

    made = studies(read_task(text, str(file)), models)
    paths = []
    for one in made:
        study_of(one, str(file))
        path = output / f"{one.document['name']}.yaml"
        if path.exists() and not force:
            raise ServelabError(f"{path} is there already", "Name another directory with --output, or use --force.")
        output.mkdir(parents=True, exist_ok=True)
        path.write_text(study_text(one), encoding="utf-8")
        paths.append(path)
    if json:
        print_json([{"study": str(path), "notes": one.notes} for path, one in zip(paths, made, strict=True)])
        return
    for note in made[0].notes:
        notes.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    for path, one in zip(paths, made, strict=True):
        look = f"; look: servelab plan {path}" if one.can_run else ""
        console.print(escape(f"wrote {path}{look}"), soft_wrap=True)


def _import_results(
    data: dict[str, object], file: Path, task: Path | None, models: str, store: str | None, json: bool
) -> None:
    from servelab.store.store import open_store
    from servelab.tasks.document import read_task
    from servelab.tasks.results import keep_results
    from servelab.tasks.study import studies
    from servelab.tasks.write import study_of

    study = study_of(studies(read_task(read_text(task), str(task)), models)[0], str(task)) if task else None
    record = keep_results(open_store(store), data, file, study)
    if json:
        print_json({"study": record.id, "state": record.state})
        return
    console.print(f"study [bold]{record.id}[/]: look at it with servelab report, compare, status")
