"""The parameter-estimation pipeline: its files, for a namespace and with parameters of the run."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from servelab.spec.errors import DocumentError
from servelab.tekton import shipped
from servelab.tekton.check.check import check_objects
from servelab.tekton.check.known import known_of
from servelab.tekton.check.names import wrong_label
from servelab.tekton.compile import shortened
from servelab.tekton.experiment import Experiment
from servelab.tekton.write import to_yaml

GROUP = "estimation"
NAMESPACE = "wva-training"
RUN, PIPELINE = "pipelinerun.example.yaml", "pipeline.yaml"
SECRET = "99-hf-secret.example.yaml"  # noqa: S105 - the name of a file
APPLIED = ("task-calculate-params.yaml", PIPELINE)
BATCH = ("max-concurrency", "batch-size")
"""Parameters that are to be the same: requests at a time in the throughput benchmark."""


@dataclass(frozen=True)
class Estimation:
    """The objects of the pipeline by the name of their file."""

    files: Mapping[str, dict[str, Any]]

    @property
    def texts(self) -> dict[str, str]:
        """Every file as YAML."""
        return {name: to_yaml(item) for name, item in self.files.items()}

    @property
    def run(self) -> dict[str, Any]:
        """The PipelineRun."""
        return self.files[RUN]

    @property
    def definitions(self) -> tuple[dict[str, Any], ...]:
        """Task and Pipeline, with their namespace."""
        namespace = self.run["metadata"]["namespace"]
        found = [copy.deepcopy(self.files[name]) for name in APPLIED]
        for item in found:
            item["metadata"]["namespace"] = namespace
        return tuple(found)

    @property
    def experiment(self) -> Experiment:
        """What is submitted; the pipeline is a template without anything to fill in."""
        return Experiment(self.texts[PIPELINE], "{}\n", self.texts[RUN])


def render_estimation(namespace: str = NAMESPACE, parameters: Iterable[str] = (), calculator: str = "") -> Estimation:
    """The pipeline for ``namespace``; ``parameters``, as NAME=VALUE, replace those of the example run.

    ``calculator`` is an image that has servelab, which then calculates in place of the two-point formula.
    Where only one of max-concurrency and batch-size is given, the other follows, since they are to be the same.

    Raises:
        DocumentError: a parameter does not exist, or the namespace has no valid name.
    """
    wrong = wrong_label(namespace, "the namespace")
    if wrong:
        raise DocumentError((wrong,))
    files = {item_name: _object(item_name) for item_name in shipped.names(GROUP)}
    files["namespace.yaml"]["metadata"]["name"] = namespace
    files["kustomization.yaml"]["namespace"] = namespace
    for name in (RUN, SECRET):
        files[name]["metadata"]["namespace"] = namespace
    given = _given(parameters)
    for param in files[RUN]["spec"]["params"]:
        param["value"] = given.pop(param["name"], param["value"])
    if given:
        known = ", ".join(param["name"] for param in files[RUN]["spec"]["params"])
        raise DocumentError(tuple(f"the pipeline has no parameter `{name}`" for name in given), f"It has {known}.")
    if calculator:
        (task,) = (one for one in files[PIPELINE]["spec"]["tasks"] if one["name"] == "calculate-parameters")
        task["params"] += [{"name": "method", "value": "servelab"}, {"name": "image", "value": calculator}]
    made = Estimation(files)
    problems = check_objects([*made.definitions, made.run], known_of(made.definitions))
    if problems:
        raise DocumentError(shortened([str(problem) for problem in problems]))
    return made


def _object(name: str) -> dict[str, Any]:
    (item,) = (item for item in shipped.documents(GROUP, name))
    return copy.deepcopy(item)


def _given(parameters: Iterable[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if not equals:
            raise DocumentError((f"`{parameter}` is no parameter; write it as max-concurrency=64",))
        given[name] = value
    same = given.get("max-concurrency", given.get("batch-size"))
    if same is not None:
        given = {"max-concurrency": same, "batch-size": same, **given}
        wrong = [name for name in BATCH if not _is_batch(given[name])]
        if wrong:
            faults = tuple(f"{name} is `{given[name]}`, and has to be a whole number of 2 or more" for name in wrong)
            raise DocumentError(faults, "The line goes through one request at a time and this many at a time.")
    if given.get("max-concurrency") != given.get("batch-size"):
        message = (
            f"max-concurrency is {given['max-concurrency']} and batch-size {given['batch-size']}: the formula takes "
            "the throughput benchmark for one of that batch size"
        )
        raise DocumentError((message,), "Give one of them, or both the same.")
    return given


def _is_batch(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 1
