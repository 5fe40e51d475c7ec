"""Every check of a set of Tekton objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from servelab.kube.openapi import Embedded, check_openapi
from servelab.kube.schemas import Schemas
from servelab.tekton.check.fields import KINDS, check_fields
from servelab.tekton.check.known import Known
from servelab.tekton.check.names import wrong_object_name
from servelab.tekton.check.params import Found
from servelab.tekton.check.pipeline import check_pipeline_spec
from servelab.tekton.check.problem import Problem
from servelab.tekton.check.run import check_run_spec
from servelab.tekton.check.task import check_step_action, check_task_spec

VERSIONS = {
    "Pipeline": ("v1", "v1beta1"),
    "PipelineRun": ("v1", "v1beta1"),
    "Task": ("v1", "v1beta1"),
    "StepAction": ("v1beta1", "v1alpha1"),
}


def check_objects(
    objects: Iterable[Mapping[str, Any]], known: Known | None = None, schemas: Schemas | None = None
) -> list[Problem]:
    """What Tekton, or the API server, would refuse or silently drop in ``objects``.

    ``known`` are the Tasks and StepActions that exist, for references to be resolved; without it they are taken on
    trust. ``schemas`` gives the schemas of an API server; our own tables of fields are used in any case.
    """
    every = list(objects)
    pipelines = {
        str(item["metadata"].get("name")): item["spec"]
        for item in every
        if item.get("kind") == "Pipeline" and isinstance(item.get("metadata"), dict) and isinstance(item["spec"], dict)
    }
    return [problem for item in every for problem in _check_object(item, pipelines, known, schemas)]


def _check_object(
    item: Mapping[str, Any],
    pipelines: Mapping[str, Mapping[str, Any]],
    known: Known | None,
    schemas: Schemas | None,
) -> Iterator[Problem]:
    kind, version = str(item.get("kind")), str(item.get("apiVersion"))
    metadata, spec = item.get("metadata"), item.get("spec")
    subject = f"{kind} {metadata.get('name') or metadata.get('generateName')}" if isinstance(metadata, dict) else kind
    if kind not in KINDS:
        yield Problem(subject, ("kind",), f"`{kind}` is none of {', '.join(KINDS)}")
        return
    if version not in {f"tekton.dev/{name}" for name in VERSIONS[kind]}:
        yield Problem(subject, ("apiVersion",), f"`{version}`: a {kind} is of tekton.dev/{VERSIONS[kind][0]}")
    yield from check_fields(item, kind, subject)
    schema = schemas(version, kind) if schemas else None
    if schemas and schema:
        for path, message in check_openapi(item, schema, _embedded(schemas, version)):
            yield Problem(subject, path, message)
    wrong = wrong_object_name(metadata)
    if wrong:
        yield Problem(subject, ("metadata",), wrong)
    if isinstance(spec, dict):
        for path, message in _rules(kind, spec, pipelines, known):
            yield Problem(subject, ("spec", *path), message)


def _embedded(schemas: Schemas, version: str) -> dict[str, Embedded]:
    """What Tekton's own definitions leave open."""
    beside = frozenset({"apiVersion", "kind", "metadata", "spec"})
    return {
        "taskSpec": Embedded(schemas(version, "Task"), beside),
        "pipelineSpec": Embedded(schemas(version, "Pipeline")),
    }


def _rules(
    kind: str, spec: Mapping[str, Any], pipelines: Mapping[str, Mapping[str, Any]], known: Known | None
) -> Iterator[Found]:
    if kind == "Pipeline":
        return check_pipeline_spec(spec, known)
    if kind == "PipelineRun":
        return check_run_spec(spec, pipelines, known)
    return check_task_spec(spec, known) if kind == "Task" else check_step_action(spec)


def without_echoes(problems: Sequence[Problem]) -> list[Problem]:
    """The problems without those that two checks both found."""
    return list({(problem.subject, problem.path, problem.message): problem for problem in problems}.values())
