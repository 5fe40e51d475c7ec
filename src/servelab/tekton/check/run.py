"""What Tekton refuses in PipelineRuns, alone and beside the Pipeline that they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from servelab.tekton.check.known import Known
from servelab.tekton.check.names import duration_seconds, wrong_duration
from servelab.tekton.check.params import Found, check_given, declared, items, propagated
from servelab.tekton.check.pipeline import check_pipeline_spec
from servelab.tekton.check.references import references

COMPILED = ("stack", "workload")
"""Parameters that change the values of a template, and that the compiled pipeline need not have."""

DEFAULT_TIMEOUT = "1h"

_STATES = {None, "", "PipelineRunPending", "Cancelled", "CancelledRunFinally", "StoppedRunFinally"}
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
        workspaces = [str(item.get("name")) for _, item in items(spec, "workspaces")]
        for path, message in check_pipeline_spec(embedded, known, propagated(spec), workspaces):
            yield ("pipelineSpec", *path), message
    elif isinstance(ref, dict):
        if bool(ref.get("name")) == bool(ref.get("resolver")):
            yield ("pipelineRef",), "a `pipelineRef` has a `name` or a `resolver`"
        pipeline = pipelines.get(str(ref.get("name")))
    callee = f"Pipeline `{ref.get('name')}`" if isinstance(ref, dict) else "the pipeline"
    params = None if pipeline is None else declared(pipeline)
    yield from check_given(spec, params, callee, passed=COMPILED, extra=isinstance(embedded, dict))
    for reference in references(spec.get("params"), ("params",)):
        if reference.root == "tasks":
            yield reference.path, f"`{reference.text}`: a run is given its parameters before any task has results"
    yield from _check_workspaces(spec, pipeline, callee)
    yield from _check_timeouts(spec.get("timeouts"))
    if spec.get("status") not in _STATES:
        yield ("status",), f"`{spec.get('status')}` is none of {', '.join(sorted(filter(None, _STATES)))}"


def _check_timeouts(timeouts: Any) -> Iterator[Found]:
    """Each is a duration, and the tasks and the final tasks together have to fit into the pipeline's."""
    if not isinstance(timeouts, dict):
        return
    for name, value in timeouts.items():
        wrong = wrong_duration(value)
        if wrong:
            yield ("timeouts", str(name)), wrong
    whole = timeouts.get("pipeline", DEFAULT_TIMEOUT)
    parts = {name: timeouts[name] for name in ("tasks", "finally") if name in timeouts}
    allowed, taken = duration_seconds(whole), [duration_seconds(part) for part in parts.values()]
    if not allowed or None in taken:  # 0 is no limit
        return
    default = "" if "pipeline" in timeouts else ", Tekton's default"
    for name, part in parts.items():
        if duration_seconds(part) == 0:
            yield ("timeouts", name), f"`{name}` without limit does not fit into `pipeline` of {whole}{default}"
    if sum(filter(None, taken)) > allowed:
        given = " and ".join(f"`{name}` of {part}" for name, part in parts.items())
        yield ("timeouts",), f"{given} do not fit into `pipeline` of {whole}{default}"


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
