"""An experiment as its author left it: template, values, PipelineRun, perhaps a study; and what it compiles to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from servelab.kube.kinds import Manifest
from servelab.kube.labels import WHOLE, marked
from servelab.spec.errors import DocumentError
from servelab.tekton.changes import (
    OUTSIDE_STUDY,
    Change,
    changed_study,
    changed_values,
    parameters,
    renamed_run,
)
from servelab.tekton.check.known import known_of
from servelab.tekton.compile import compile_template, require_valid
from servelab.tekton.definitions import named_tasks, with_shipped
from servelab.tekton.needs import Needs, needs_of
from servelab.tekton.size import require_storable
from servelab.tekton.treatments import engine_of, explicit, with_study
from servelab.tekton.values import read_mapping, with_run

TEMPLATE, VALUES, RUN, STUDY_FILE = "pipeline.yaml.j2", "values.yaml", "pipelinerun.yaml", "study.yaml"

RELEASE = 53  # characters that Helm allows
RELEASE_PARTS = "--model"  # what deploy-model adds to the id and the treatment

_OF_TRIAL = re.compile(r"\$\(params\.experimentId\)-([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)")


@dataclass(frozen=True)
class Experiment:
    """The texts of an experiment's files. The name of its PipelineRun is the experiment's id."""

    template: str
    values: str
    run: str
    study: str = ""

    @property
    def name(self) -> str:
        """The experiment's id."""
        metadata = read_mapping(self.run, RUN).get("metadata")
        return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""

    def renamed(self, name: str, namespace: str = "") -> Experiment:
        """The same under another id, and in a namespace."""
        return replace(self, run=renamed_run(self.run, name, namespace))

    def changed(self, changes: Sequence[Change]) -> Experiment:
        """The same with changes to the engine's parameters.

        Raises:
            DocumentError: its values have no place for one of them.
        """
        values, study = self.values, self.study
        of_study = bool(study and explicit(read_mapping(values, VALUES)))  # then its treatments are the study's
        for change in changes:
            study = changed_study(study, change) if study else ""
            if not of_study or change.parameter in OUTSIDE_STUDY:
                values = changed_values(values, change)
        return replace(self, values=with_study(values, study, self.study) if of_study else values, study=study)

    def parameters(self, trial: str) -> dict[str, Any]:
        """The engine's parameters in one treatment."""
        return dict(parameters(read_mapping(self.values, VALUES), trial))

    @property
    def engine(self) -> str:
        """The engine's name."""
        return engine_of(read_mapping(self.values, VALUES))

    @property
    def files(self) -> dict[str, str]:
        """Its files by name."""
        texts = {TEMPLATE: self.template, VALUES: self.values, RUN: self.run, STUDY_FILE: self.study}
        return {name: text for name, text in texts.items() if text}


@dataclass(frozen=True)
class Compiled:
    """What is submitted: labelled manifests, and what they need."""

    run: Manifest
    pipeline: Manifest
    definitions: tuple[Manifest, ...]
    needs: Needs


def read_experiment(files: dict[str, str], where: str) -> Experiment:
    """An experiment from the texts of its files.

    Raises:
        DocumentError: one is missing.
    """
    for name in (TEMPLATE, VALUES, RUN):
        if name not in files:
            raise DocumentError(
                (f"{where} has no {name}",),
                "servelab ask writes an experiment, and a study is one; see docs/cluster.md.",
            )
    return Experiment(files[TEMPLATE], files[VALUES], files[RUN], files.get(STUDY_FILE, ""))


def compile_experiment(experiment: Experiment, definitions: Sequence[Manifest] = ()) -> Compiled:
    """Compile the template, and label everything with the study (the experiment's id) and trials (its treatments).

    ``definitions`` come before our own of the same names.

    Raises:
        DocumentError: a file is not what it should be, Tekton would refuse the pipeline, or it is too large.
    """
    run = read_mapping(experiment.run, RUN)
    name = experiment.name
    if not name:
        raise DocumentError((f"{RUN} has no metadata.name",), "The PipelineRun's name is the experiment's id.")
    values = with_run(read_mapping(experiment.values, VALUES), run, RUN)
    expanded = compile_template(experiment.template, values, TEMPLATE)
    pipeline = expanded.document
    definitions = with_shipped(pipeline, definitions)
    known = known_of(definitions)
    # Tasks that are nowhere here are meant to be in the cluster, which is asked before anything is submitted.
    require_valid(expanded, known if known.tasks.keys() >= set(named_tasks(pipeline)) else None, TEMPLATE)
    own = pipeline["metadata"]["name"]
    # A Pipeline of its own for each run: what ran stays readable, and another run cannot change it meanwhile.
    pipeline = {**pipeline, "metadata": {**pipeline["metadata"], "name": name}}
    _check_releases(name, pipeline)
    spec = {**run["spec"], "pipelineRef": {"name": name}, "taskRunSpecs": _task_run_specs(run, pipeline)}
    annotated = {"annotations": {"servelab/pipeline": own}}
    labelled = {**run, "metadata": {**run["metadata"], **annotated}, "spec": spec}
    require_storable(pipeline, labelled)
    return Compiled(
        run=marked(labelled, name),
        pipeline=marked(pipeline, name),
        definitions=tuple(marked(one) for one in definitions),
        needs=needs_of(run, pipeline, definitions, values),
    )


def trials(pipeline: Manifest) -> dict[str, str]:
    """Pipeline task -> the treatment that it serves: what follows the experiment's id in one of its parameters."""
    found = {}
    spec = pipeline.get("spec") or {}
    for task in [*(spec.get("tasks") or []), *(spec.get("finally") or [])]:
        texts = [str(one.get("value", "")) for one in task.get("params") or []]
        match = next((match for text in texts if (match := _OF_TRIAL.fullmatch(text))), None)
        found[task["name"]] = match[1] if match else WHOLE
    return found


def _check_releases(name: str, pipeline: Manifest) -> None:
    """Our deploy-model makes a Helm release of the id and the treatment."""
    longest = max((len(trial) for trial in trials(pipeline).values() if trial != WHOLE), default=0)
    most = RELEASE - longest - len(RELEASE_PARTS)
    if "deploy-model" in named_tasks(pipeline) and len(name) > most:
        raise DocumentError(
            (f"the experiment id {name!r} has {len(name)} characters; here {most} are allowed",),
            "It begins the names of Helm releases, which have at most 53 characters. Another: --id ID.",
        )


def _task_run_specs(run: Manifest, pipeline: Manifest) -> list[dict[str, Any]]:
    """Per task, as Tekton puts the labels of its entry on its TaskRun and pod."""
    given = {one["pipelineTaskName"]: one for one in run["spec"].get("taskRunSpecs") or []}
    specs = []
    for task, trial in trials(pipeline).items():
        entry = given.get(task, {"pipelineTaskName": task})
        specs.append(marked(entry, run["metadata"]["name"], trial) if trial != WHOLE else entry)
    return [entry for entry in specs if len(entry) > 1]


def read_directory(directory: Path) -> dict[str, str]:
    """The texts of an experiment's files in a directory.

    Raises:
        DocumentError: a file cannot be read.
    """
    found = {}
    for name in (TEMPLATE, VALUES, RUN, STUDY_FILE):
        file = directory / name
        if file.exists():
            try:
                found[name] = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise DocumentError((f"cannot read {file}: {error}",)) from error
    return found
