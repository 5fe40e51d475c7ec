"""StepActions and Tasks in files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from servelab.kube.kinds import Manifest
from servelab.spec.errors import DocumentError
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


def _read(file: Path) -> list[Manifest]:
    try:
        documents = list(YAML(typ="safe", pure=True).load_all(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise DocumentError((f"cannot read {file}: {error}",)) from error
    kinds = (STEP_ACTION.name, TASK.name)
    return [one for one in documents if isinstance(one, dict) and one.get("kind") in kinds]
