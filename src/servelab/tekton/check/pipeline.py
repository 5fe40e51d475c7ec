"""What Tekton refuses in Pipelines (pkg/apis/pipeline/v1/pipeline_validation.go, and when a run starts)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from servelab.tekton.check.known import Known
from servelab.tekton.check.matrix import check_matrix, matrix_params
from servelab.tekton.check.names import wrong_duration, wrong_label, wrong_result_name
from servelab.tekton.check.order import check_order
from servelab.tekton.check.params import Declared, Found, check_declarations, check_given, declared, items
from servelab.tekton.check.references import references
from servelab.tekton.check.scope import PipelineScope
from servelab.tekton.check.task import check_task_spec

SECTIONS = ("tasks", "finally")
_WAYS = ("taskRef", "taskSpec", "pipelineRef", "pipelineSpec")
_TASK_KINDS = {None, "", "Task"}


def check_pipeline_spec(
    spec: Mapping[str, Any],
    known: Known | None,
    params: Mapping[str, Declared] | None = None,
    workspaces: Collection[str] = (),
) -> Iterator[Found]:
    """A pipeline's spec; paths begin below it. ``known`` are the Tasks that exist, where that is known.

    ``params`` and ``workspaces`` are those that it sees of what it is embedded in.
    """
    if not items(spec, "tasks"):
        yield ("tasks",), "a pipeline needs `tasks`" + (" beside `finally`" if spec.get("finally") else "")
    yield from check_declarations(spec)
    yield from _check_workspaces(spec)
    yield from _check_names(spec)
    yield from check_order(spec)
    scope = PipelineScope(spec, known, params, workspaces)
    for section in SECTIONS:
        for index, task in items(spec, section):
            for path, message in _check_task(task, section, scope, known):
                yield (section, index, *path), message
            for path, message in scope.check_task(task, section):
                yield (section, index, *path), message
    yield from _check_results(spec, scope)


def _check_workspaces(spec: Mapping[str, Any]) -> Iterator[Found]:
    seen: set[str] = set()
    for index, workspace in items(spec, "workspaces"):
        name = workspace.get("name")
        if not name:
            yield ("workspaces", index), "the workspace has no name"
        if name in seen:
            yield ("workspaces", index), f"workspace `{name}` is declared twice"
        seen.add(str(name))


def _check_names(spec: Mapping[str, Any]) -> Iterator[Found]:
    seen: dict[str, str] = {}
    for section in SECTIONS:
        for index, task in items(spec, section):
            name = task.get("name")
            wrong = wrong_label(name, "the task")
            if wrong:
                yield (section, index, "name"), wrong
            if name in seen:
                yield (section, index, "name"), f"two tasks are called `{name}`, the other is {seen[str(name)]}"
            seen[str(name)] = f"spec.{section}[{index}]"


def _check_task(task: Mapping[str, Any], section: str, scope: PipelineScope, known: Known | None) -> Iterator[Found]:
    ways = [way for way in _WAYS if task.get(way) is not None]
    if len(ways) != 1:
        yield (), f"a task has one of {', '.join(_WAYS)}" + (f", this has {' and '.join(ways)}" if ways else "")
    body, nested = task.get("taskSpec"), task.get("pipelineSpec")
    called: Mapping[str, Any] | None = None
    callee = "the task"
    if isinstance(nested, dict):
        for path, message in check_pipeline_spec(nested, known, scope.params, scope.workspaces):
            yield ("pipelineSpec", *path), message
    if isinstance(body, dict) and "spec" not in body:
        called = body
        for path, message in check_task_spec(body, known, scope.around(task, section)):
            yield ("taskSpec", *path), message
    elif isinstance(task.get("taskRef"), dict):
        ref = task["taskRef"]
        name = ref.get("name")
        yield from _check_ref(ref, known)
        callee = f"Task `{name}`"
        plain = ref.get("kind") in _TASK_KINDS and not ref.get("apiVersion") and not ref.get("resolver")
        called = known.tasks.get(str(name)) if known is not None and plain else None
    embedded = called is not None and called is body
    given = [*matrix_params(task), *(scope.params if embedded else ())]
    params = None if called is None else declared(called)
    yield from check_given(task, params, callee, given, extra=embedded and scope.in_run)
    yield from check_matrix(task)
    yield from _check_bound(task, scope.workspaces, called, callee)
    yield from _check_when(task)
    yield from _check_limits(task)


def _check_ref(ref: Mapping[str, Any], known: Known | None) -> Iterator[Found]:
    name, kind, version, resolver = (ref.get(field) for field in ("name", "kind", "apiVersion", "resolver"))
    if kind not in _TASK_KINDS or version:
        if kind == "ClusterTask":
            yield ("taskRef", "kind"), "there are no ClusterTasks any more; use the cluster resolver"
        elif not (kind and version):
            yield ("taskRef",), "the reference of a custom task has `apiVersion` and `kind`"
    elif bool(name) == bool(resolver):
        yield ("taskRef",), "a `taskRef` has a `name` or a `resolver`"
    elif "params" in ref and not resolver:
        yield ("taskRef", "params"), "the parameters of a `taskRef` are for its `resolver`"
    elif name and known is not None and str(name) not in known.tasks:
        yield ("taskRef", "name"), f"there is no Task `{name}`{known.nearest_task(str(name))}"


def _check_bound(
    task: Mapping[str, Any], exist: Collection[str], called: Mapping[str, Any] | None, callee: str
) -> Iterator[Found]:
    bound: set[str] = set()
    wanted = {str(item.get("name")): not item.get("optional") for _, item in items(called or {}, "workspaces")}
    for index, binding in items(task, "workspaces"):
        name = str(binding.get("name"))
        source = str(binding.get("workspace") or name)
        if name in bound:
            yield ("workspaces", index), f"workspace `{name}` is bound twice"
        bound.add(name)
        if source not in exist:
            yield ("workspaces", index), f"the pipeline declares no workspace `{source}`"
        if called is not None and name not in wanted:
            yield ("workspaces", index), f"{callee} has no workspace `{name}`"
    for name, required in wanted.items():
        if required and name not in bound and not ("taskSpec" in task and name in exist):
            yield ("workspaces",), f"{callee} needs workspace `{name}`"


def _check_when(task: Mapping[str, Any]) -> Iterator[Found]:
    for index, when in items(task, "when"):
        if when.get("cel"):
            if set(when) - {"cel"}:
                yield ("when", index), "`cel` stands alone"
        elif when.get("operator") not in {"in", "notin"}:
            yield ("when", index, "operator"), f"the operator is in or notin, not `{when.get('operator')}`"
        elif not when.get("values"):
            yield ("when", index), "`values` is empty"


def _check_limits(task: Mapping[str, Any]) -> Iterator[Found]:
    retries = task.get("retries")
    if isinstance(retries, int) and retries < 0:
        yield ("retries",), f"{retries} retries are not possible"
    if "timeout" in task and wrong_duration(task["timeout"]):
        yield ("timeout",), str(wrong_duration(task["timeout"]))
    if task.get("onError") not in {None, "continue", "stopAndFail"} and "$(params." not in str(task["onError"]):
        yield ("onError",), f"`{task['onError']}` is neither continue nor stopAndFail"
    elif task.get("onError") == "continue" and isinstance(retries, int) and retries > 0:
        yield ("onError",), "`onError: continue` and `retries` exclude one another"


def _check_results(spec: Mapping[str, Any], scope: PipelineScope) -> Iterator[Found]:
    for index, result in items(spec, "results"):
        path = ("results", index, "value")
        wrong = wrong_result_name(result.get("name"))
        if wrong:
            yield ("results", index, "name"), wrong
        used = [found for found in references(result.get("value"), path) if found.root in {"tasks", "finally"}]
        if not used:
            yield path, "the result of a pipeline is a result of its tasks, as $(tasks.NAME.results.RESULT)"
        for reference in used:
            message = scope.wrong_result(reference, reference.root)
            if message:
                yield path, message
