"""StepActions and Tasks: those in files, and of ours those that a pipeline needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from servelab.kube.kinds import Manifest
from servelab.spec.errors import DocumentError
from servelab.tekton import shipped
from servelab.tekton.check.known import known_of
from servelab.tekton.kinds import STEP_ACTION, TASK

ENDINGS = (".yaml", ".yml", ".json")


def read_definitions(paths: Iterable[Path]) -> list[Manifest]:
    """All StepActions and Tasks in files and in directories (with those below), StepActions first.

    Raises:
        DocumentError: a file cannot be read.
    """
    found: list[Manifest] = []
    for path in paths:
        files = sorted(one for one in path.rglob("*") if one.suffix in ENDINGS) if path.is_dir() else [path]
        for file in files:
            found += _read(file)
    return sorted(found, key=lambda one: one["kind"] != STEP_ACTION.name)


def with_shipped(pipeline: Manifest, given: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """``given``, and of our own those that the pipeline names and ``given`` lacks; StepActions first."""
    own = known_of(shipped.definitions())
    tasks = set(named_tasks(pipeline)) & set(own.tasks) - set(known_of(given).tasks)
    actions = {step["ref"]["name"] for task in tasks for step in own.tasks[task]["steps"] if "ref" in step}
    wanted = {STEP_ACTION.name: actions - set(known_of(given).step_actions), TASK.name: tasks}
    added = [one for one in shipped.definitions() if one["metadata"]["name"] in wanted[one["kind"]]]
    return tuple(sorted([*given, *added], key=lambda one: one["kind"] != STEP_ACTION.name))


def named_tasks(pipeline: Manifest) -> list[str]:
    """The Tasks of the namespace that a pipeline names."""
    spec = pipeline.get("spec") or {}
    references = [task.get("taskRef") or {} for task in [*(spec.get("tasks") or []), *(spec.get("finally") or [])]]
    return [str(reference["name"]) for reference in references if reference.get("name")]


def _read(file: Path) -> list[Manifest]:
    try:
        documents = list(YAML(typ="safe", pure=True).load_all(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise DocumentError((f"cannot read {file}: {error}",)) from error
    kinds = (STEP_ACTION.name, TASK.name)
    return [one for one in documents if isinstance(one, dict) and one.get("kind") in kinds]
