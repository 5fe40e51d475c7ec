"""What Tekton refuses in PipelineRuns, alone and beside the Pipeline that they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from servelab.tekton.check.known import Known
from servelab.tekton.check.names import wrong_duration
from servelab.tekton.check.params import Found, check_given, declared, items
from servelab.tekton.check.pipeline import check_pipeline_spec

COMPILED = ("stack", "workload")
"""Parameters that change the values of a template, and that the compiled pipeline need not have."""

_SOURCES = {
    "persistentVolumeClaim",
    "volumeClaimTemplate",
    "emptyDir",
    "configMap",
    "secret",
    "projected",
    "csi",
}


def check_run_spec(
    spec: Mapping[str, Any], pipelines: Mapping[str, Mapping[str, Any]], known: Known | None
) -> Iterator[Found]:
    """A run's spec; paths begin below it. ``pipelines`` are the specs of known Pipelines by name."""
    ref, embedded = spec.get("pipelineRef"), spec.get("pipelineSpec")
    if (ref is None) == (embedded is None):
        yield (), "a PipelineRun has one of pipelineRef and pipelineSpec"
    pipeline: Mapping[str, Any] | None = None
    if isinstance(embedded, dict):
        pipeline = embedded
        for path, message in check_pipeline_spec(embedded, known):
            yield ("pipelineSpec", *path), message
    elif isinstance(ref, dict):
        if bool(ref.get("name")) == bool(ref.get("resolver")):
            yield ("pipelineRef",), "a `pipelineRef` has a `name` or a `resolver`"
        pipeline = pipelines.get(str(ref.get("name")))
    callee = f"Pipeline `{ref.get('name')}`" if isinstance(ref, dict) else "the pipeline"
    yield from check_given(spec, None if pipeline is None else declared(pipeline), callee, passed=COMPILED)
    yield from _check_workspaces(spec, pipeline, callee)
    timeouts = spec.get("timeouts")
    for name, value in timeouts.items() if isinstance(timeouts, dict) else ():
        wrong = wrong_duration(value)
        if wrong:
            yield ("timeouts", str(name)), wrong


def _check_workspaces(spec: Mapping[str, Any], pipeline: Mapping[str, Any] | None, callee: str) -> Iterator[Found]:
    bound: set[str] = set()
    wanted = {str(item.get("name")): not item.get("optional") for _, item in items(pipeline or {}, "workspaces")}
    for index, binding in items(spec, "workspaces"):
        name = str(binding.get("name"))
        sources = sorted(_SOURCES & binding.keys())
        if len(sources) != 1:
            given = f", this has {' and '.join(sources)}" if sources else ""
            yield ("workspaces", index), f"a workspace is bound to one of {', '.join(sorted(_SOURCES))}{given}"
        if name in bound:
            yield ("workspaces", index), f"workspace `{name}` is bound twice"
        bound.add(name)
    for name, required in wanted.items():
        if required and name not in bound:
            yield ("workspaces",), f"{callee} needs workspace `{name}`"
