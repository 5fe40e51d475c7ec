"""The work directory of an experiment: written whole or not at all, and never outside of its root."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from servelab.catalog.written import study_text
from servelab.request.facts import Facts
from servelab.request.merge import merged_values, pipeline_run
from servelab.request.name import unused
from servelab.request.settle import Settled
from servelab.request.study import make_study
from servelab.spec.base import check_label
from servelab.spec.errors import ServelabError

PRIVATE = 0o700
TEMPLATE, VALUES, RUN = "pipeline.yaml.j2", "values.yaml", "pipelinerun.yaml"
TEMPLATES = (TEMPLATE, "data_pipeline.yaml.j2")


class WorkDirectoryError(ServelabError):
    """The work directory cannot be written."""


def fresh_root(day: date) -> Path:
    """A new directory, for nobody else to read, under the user's state directory (SERVELAB_HOME moves it)."""
    home = os.environ.get("SERVELAB_HOME")
    above = (Path(home) if home else user_state_path("servelab")) / "asked"
    root = above / f"{day.isoformat()}-{secrets.token_hex(4)}"
    root.mkdir(mode=PRIVATE, parents=True)
    return root


def taken_names(root: Path) -> tuple[str, ...]:
    """Experiments that have a directory under ``root``."""
    return tuple(sorted(path.name for path in root.iterdir() if _occupied(path))) if root.is_dir() else ()


def _occupied(path: Path) -> bool:
    """Whether something is there that must not be overwritten."""
    return path.is_symlink() or not path.is_dir() or any(path.iterdir())


@dataclass(frozen=True)
class Pipeline:
    """Texts of a data-collection pipeline of one's own: its template, and a PipelineRun to start from."""

    template: str | None = None
    run: str | None = None


def pipeline_beside(values: Path) -> Pipeline:
    """The template and the PipelineRun that lie beside a values file.

    Raises:
        WorkDirectoryError: one of them cannot be read.
    """
    try:
        found = {
            part: next((path for name in names if (path := values.parent / name).is_file()), None)
            for part, names in {"template": TEMPLATES, "run": (RUN,)}.items()
        }
        return Pipeline(**{part: path.read_text(encoding="utf-8") for part, path in found.items() if path})
    except (OSError, ValueError) as error:
        raise WorkDirectoryError(f"cannot read what lies beside {values}: {error}", "Mend or move that file.") from None


def write_experiment(settled: Settled, facts: Facts, root: Path, pipeline: Pipeline | None = None) -> Path:
    """Write an experiment's files into ``root/ID`` and return that directory, private to its owner.

    ``study.yaml`` and ``state.json`` always; ``values.yaml``, ``pipelinerun.yaml`` and ``pipeline.yaml.j2``, copied as
    it is, where the data-collection pipeline can run it. ``pipeline`` stands for servelab's own. All appear at once.

    Raises:
        WorkDirectoryError: the experiment is not complete, its directory has something in it, or cannot be written.
    """
    name = settled.experiment_id
    if name is None or not settled.complete:
        raise WorkDirectoryError("the request is not complete", "Answer what is missing, then ask again.")
    check_label(name)
    target = root / name
    if target.is_symlink() or (target.exists() and _occupied(target)):
        free = unused(name, taken_names(root))
        raise WorkDirectoryError(f"{target} exists and is not empty", f"Take another experiment id, as {free}.")
    files = _files(settled, facts, pipeline or Pipeline())
    try:
        root.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
        try:
            for file, text in files.items():
                (part / file).write_text(text, encoding="utf-8")
            part.replace(target)  # over an empty directory, or none: never over content
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as error:
        raise WorkDirectoryError(f"cannot write {target}: {error.strerror or error}", "Name another --root.") from None
    return target


def write_study(settled: Settled, facts: Facts, path: Path) -> None:
    """Write the study alone, whole or not at all.

    Raises:
        WorkDirectoryError: the file is there, or cannot be written.
    """
    if path.exists() or path.is_symlink():
        raise WorkDirectoryError(f"{path} exists", "Name another file for --out.")
    text = study_text(make_study(settled, facts))
    try:
        part = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise WorkDirectoryError(f"cannot write {path}: {error.strerror or error}", "Name another --out.") from None


def submit_command(settled: Settled, directory: Path) -> str | None:
    """How an experiment in its directory is run on the cluster; None where only its study can be run."""
    if not settled.pipeline or settled.namespace is None:
        return None
    return f"servelab tekton submit {shlex.quote(str(directory))} -n {settled.namespace}"


def _files(settled: Settled, facts: Facts, pipeline: Pipeline) -> dict[str, str]:
    files = {"study.yaml": study_text(make_study(settled, facts))}
    if settled.pipeline and settled.numbers and settled.model and settled.namespace and settled.experiment_id:
        values = facts.values
        files[VALUES] = merged_values(values, settled.changes, settled.numbers)
        files[RUN] = pipeline_run(values, settled.experiment_id, settled.model, settled.namespace, pipeline.run)
        files[TEMPLATE] = pipeline.template or _own_template()
    files["state.json"] = json.dumps(_state(settled, facts, sorted(files)), indent=2) + "\n"
    return files


def _own_template() -> str:
    from servelab.tekton import shipped

    return shipped.text("data-collection", TEMPLATE)


def _state(settled: Settled, facts: Facts, files: list[str]) -> dict[str, Any]:
    return {
        "experiment": settled.experiment_id,
        "state": "written",
        "created": facts.today.isoformat(),
        "values": facts.values_source,
        "request": settled.request.model_dump(mode="json", exclude_defaults=True),
        "changes": [change.model_dump(mode="json") for change in settled.changed],
        "files": files,
    }
