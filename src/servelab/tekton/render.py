"""A study rendered to a Tekton Pipeline and the PipelineRun that runs it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servelab.spec.errors import DocumentError
from servelab.spec.study import Study
from servelab.tekton import shipped
from servelab.tekton.check.check import check_objects, without_echoes
from servelab.tekton.check.known import known_of
from servelab.tekton.check.names import wrong_label
from servelab.tekton.compile import compile_template, shortened
from servelab.tekton.study_values import study_values
from servelab.tekton.values import read_mapping

GROUP = "data-collection"
MAX_RELEASE = 53  # characters that Helm allows
DOWNLOAD = 4 * 3600.0  # seconds that the model's download and the harness' installation may take
CLEANUP = 30 * 60.0  # seconds for what runs in any case at the end
SPARE = 600.0  # seconds a treatment may take beside its stages


@dataclass(frozen=True)
class Rendering:
    """What a study becomes on a cluster, and the values it was made from."""

    pipeline: dict[str, Any]
    run: dict[str, Any]
    definitions: tuple[dict[str, Any], ...]
    values: dict[str, Any]

    @property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """Everything, in the order in which it is to be applied."""
        return (*self.definitions, self.pipeline, self.run)


def render_study(
    study: Study,
    namespace: str = "default",
    experiment: str | None = None,
    values: Mapping[str, Any] | None = None,
    *,
    dry: bool = False,
) -> Rendering:
    """Render ``study``, whose treatments are explicit.

    ``experiment`` names the run, by default the study's name; ``values`` replace the shipped ones. With ``dry`` each
    step only says what it would do.

    Raises:
        DocumentError: the study, or its names, cannot be run as a pipeline.
    """
    base = values if values is not None else read_mapping(shipped.text(GROUP, "values.yaml"), "values.yaml")
    made = study_values(study, base)
    if dry:
        made |= {"debug": True, "workload": {**made["workload"], "harness": "nop"}}
    name = experiment or study.name
    _check_name(name, made)
    compiled = compile_template(shipped.text(GROUP, "pipeline.yaml.j2"), made, "pipeline.yaml.j2")
    found = Rendering(compiled.document, _run(study, name, namespace, made), shipped.definitions(), made)
    problems = without_echoes(check_objects([found.pipeline, found.run], known_of(found.definitions)))
    if problems:
        raise DocumentError(shortened([str(problem) for problem in problems]))
    return found


def _check_name(name: str, values: Mapping[str, Any]) -> None:
    wrong = wrong_label(name, "the experiment")
    if wrong:
        raise DocumentError((wrong,))
    longest = max(len(treatment["id"]) for treatment in values["stack"]["treatments"]["explicit"])
    most = MAX_RELEASE - len("--model") - longest
    if len(name) > most:
        message = f"the experiment's name `{name}` has {len(name)} characters; here {most} are allowed"
        raise DocumentError((message,), "It begins the names of Helm releases, which have at most 53 characters.")


def _run(study: Study, name: str, namespace: str, values: Mapping[str, Any]) -> dict[str, Any]:
    (shown,) = (item for item in shipped.objects(GROUP) if item["kind"] == "PipelineRun")
    run = copy.deepcopy(shown)
    run["metadata"] = {"name": name, "namespace": namespace}
    spec = run["spec"]
    spec["pipelineRef"] = {"name": study.name}
    parameters = {"experimentId": name, "model": study.model.id, "namespace": namespace}
    spec["params"] = [{"name": key, "value": value} for key, value in parameters.items()]
    stages = study.budget.timeouts
    treatments = values["stack"]["treatments"]["explicit"]
    rounds = 1 if values["stack"]["parallel"] else len(treatments)
    measured = float(values["workload"]["timeout"].removesuffix("s"))
    tasks = DOWNLOAD + rounds * (stages.ready + measured + stages.stop + SPARE)
    spec["timeouts"] = {
        "pipeline": _duration(tasks + CLEANUP),
        "tasks": _duration(tasks),
        "finally": _duration(CLEANUP),
    }
    return run


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f}m"
