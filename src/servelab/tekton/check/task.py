"""What Tekton refuses in Tasks, embedded task specs and StepActions."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from servelab.tekton.check.known import Known
from servelab.tekton.check.names import wrong_duration, wrong_label, wrong_result_name
from servelab.tekton.check.params import (
    Declared,
    Found,
    check_declarations,
    check_given,
    check_param_reference,
    declared,
    items,
)
from servelab.tekton.check.references import Reference, references
from servelab.tekton.check.scope import Around

_TASK_RUN = {"name", "namespace", "uid"}
_TASK = {"name", "retry-count"}
_WORKSPACE = {"path", "bound", "claim", "volume"}
_RESULT_TYPES = {None, "string", "array", "object"}
_NOT_WITH_REF = ("image", "command", "args", "script", "env", "volumeMounts", "results", "workingDir")


def check_task_spec(spec: Mapping[str, Any], known: Known | None, around: Around | None = None) -> Iterator[Found]:
    """A task's spec; paths begin below it. ``around`` is what it sees of the pipeline that it is embedded in."""
    steps = items(spec, "steps")
    if not steps:
        yield (), "a task needs `steps`"
    yield from check_declarations(spec)
    yield from _check_names(spec)
    yield from _check_step_names(spec)
    yield from _check_results(spec)
    yield from _check_mounts(spec)
    template = spec.get("stepTemplate")
    image = template.get("image") if isinstance(template, dict) else None
    for index, step in steps:
        for path, message in _check_step(step, known, has_image=bool(image)):
            yield ("steps", index, *path), message
    scope = _Scope(spec, around)
    for field in ("steps", "sidecars", "stepTemplate", "volumes", "workspaces", "results"):
        for reference in references(spec.get(field), (field,)):
            wrong = scope.wrong(reference, spec)
            if wrong:
                yield reference.path, wrong


def _check_step_names(spec: Mapping[str, Any]) -> Iterator[Found]:
    seen: set[str] = set()
    for index, step in items(spec, "steps"):
        name = step.get("name")
        if name is None:
            continue
        wrong = wrong_label(name, "a step")
        if wrong:
            yield ("steps", index, "name"), wrong
        elif name in seen:
            yield ("steps", index, "name"), f"two steps are called `{name}`"
        seen.add(str(name))


def _check_names(spec: Mapping[str, Any]) -> Iterator[Found]:
    for field, what in (("workspaces", "workspace"), ("results", "result"), ("volumes", "volume")):
        seen: set[str] = set()
        for index, item in items(spec, field):
            name = str(item.get("name"))
            if name in seen:
                yield (field, index), f"{what} `{name}` is declared twice"
            seen.add(name)
            if what == "result" and wrong_result_name(name):
                yield (field, index), str(wrong_result_name(name))


def _check_results(spec: Mapping[str, Any]) -> Iterator[Found]:
    for index, result in items(spec, "results"):
        kind = result.get("type")
        if kind not in _RESULT_TYPES:
            yield ("results", index, "type"), f"type `{kind}` is none of string, array and object"
        elif kind == "object" and not isinstance(result.get("properties"), dict):
            yield ("results", index), f"result `{result.get('name')}` of type object does not say its `properties`"


def _check_mounts(spec: Mapping[str, Any]) -> Iterator[Found]:
    taken: set[str] = set()
    for index, step in items(spec, "steps"):
        for place, mount in items(step, "volumeMounts"):
            path = posixpath.normpath(str(mount.get("mountPath")))
            taken.add(path)
            if path.startswith("/tekton/") and not path.startswith("/tekton/home"):
                yield ("steps", index, "volumeMounts", place, "mountPath"), f"`{path}`: /tekton is Tekton's own"
    for index, workspace in items(spec, "workspaces"):
        path = posixpath.normpath(str(workspace.get("mountPath") or f"/workspace/{workspace.get('name')}"))
        if path in taken:
            yield ("workspaces", index), f"something else is mounted at `{path}`"
        taken.add(path)


def _check_step(step: Mapping[str, Any], known: Known | None, *, has_image: bool) -> Iterator[Found]:
    if "timeout" in step and wrong_duration(step["timeout"]):
        yield ("timeout",), str(wrong_duration(step["timeout"]))
    if step.get("onError") not in {None, "continue", "stopAndFail"} and "$(" not in str(step.get("onError")):
        yield ("onError",), f"`{step['onError']}` is neither continue nor stopAndFail"
    if "ref" not in step:
        if not step.get("image") and not has_image:
            yield (), "a step needs an `image` or a `ref`"
        if step.get("script") and step.get("command"):
            yield (), "a step has `script` or `command`, not both"
        if step.get("params"):
            yield ("params",), "a step has `params` only with a `ref`"
        return
    for field in _NOT_WITH_REF:
        if step.get(field):
            yield (field,), f"a step with a `ref` has no `{field}`; the StepAction says it"
    yield from _check_ref(step, known)


def _check_ref(step: Mapping[str, Any], known: Known | None) -> Iterator[Found]:
    ref = step["ref"] if isinstance(step["ref"], dict) else {}
    name, resolver = ref.get("name"), ref.get("resolver")
    if bool(name) == bool(resolver):
        yield ("ref",), "a `ref` has a `name` or a `resolver`"
    elif name and known is not None:
        action = known.step_actions.get(str(name))
        if action is None:
            yield ("ref", "name"), f"there is no StepAction `{name}`{known.nearest_action(str(name))}"
        else:
            yield from check_given(step, declared(action), f"StepAction `{name}`")
            return
    yield from check_given(step, None, f"StepAction `{name}`")


class _Scope:
    """The variables that the texts of a task may use."""

    def __init__(self, spec: Mapping[str, Any], around: Around | None) -> None:
        self.around = around
        self.params: dict[str, Declared] = {**(around.params if around else {}), **declared(spec)}
        self.results = {str(item.get("name")) for _, item in items(spec, "results")}
        self.workspaces = {str(item.get("name")) for _, item in items(spec, "workspaces")}
        self.workspaces |= around.workspaces if around else set()
        self.steps = {str(item.get("name", f"unnamed-{index}")) for index, item in items(spec, "steps")}

    def wrong(self, reference: Reference, spec: Mapping[str, Any]) -> str | None:
        """Why a variable has no value there."""
        parts, text = reference.parts, reference.text
        match parts:
            case ("params", _, *_):
                return check_param_reference(reference, self.params)
            case ("workspaces", name, field) if field in _WORKSPACE:
                return None if name in self.workspaces else f"`{text}`: workspace `{name}` is not declared"
            case ("workspaces", *_):
                return f"`{text}`: a workspace has {', '.join(sorted(_WORKSPACE))}"
            case ("results", *rest) if rest:
                name = ".".join(rest[:-1]) if rest[-1] == "path" else ".".join(rest)
                own = _step_results(reference, spec)
                return None if name in self.results | own else f"`{text}`: result `{name}` is not declared"
            case ("step", "results", *rest) if rest:
                name = ".".join(rest[:-1]) if rest[-1] == "path" else ".".join(rest)
                own = _step_results(reference, spec)
                return None if name in own else f"`{text}`: the step does not declare result `{name}`"
            case ("steps", name, *_):
                return None if name.removeprefix("step-") in self.steps else f"`{text}`: there is no step `{name}`"
            case ("context", "taskRun", name):
                return None if name in _TASK_RUN else f"`{text}`: context.taskRun has {', '.join(sorted(_TASK_RUN))}"
            case ("context", "task", name):
                return None if name in _TASK else f"`{text}`: context.task has {', '.join(sorted(_TASK))}"
            case ("context", "pipeline" | "pipelineRun" | "pipelineTask", *_) | ("tasks", *_) if self.around:
                return self.around.wrong(reference)
            case ("context", *_):
                return f"`{text}`: a task knows context.taskRun and context.task"
            case ("tasks", *_):
                return f"`{text}`: a task's own steps cannot see other tasks; pass it as a parameter"
        return None


def _step_results(reference: Reference, spec: Mapping[str, Any]) -> set[str]:
    if len(reference.path) < 2 or reference.path[0] != "steps":
        return set()
    step = spec["steps"][reference.path[1]]
    return {str(item.get("name")) for _, item in items(step, "results")} if isinstance(step, dict) else set()


def check_step_action(spec: Mapping[str, Any]) -> Iterator[Found]:
    """A StepAction's spec; paths begin below it."""
    yield from check_declarations(spec)
    known = declared(spec)
    if spec.get("script") and spec.get("command"):
        yield (), "a StepAction has `script` or `command`, not both"
    results = {str(item.get("name")) for _, item in items(spec, "results")}
    for reference in references({name: value for name, value in spec.items() if name not in {"params", "description"}}):
        if reference.root == "params":
            if reference.path[0] == "script":
                yield (
                    reference.path,
                    f"`{reference.text}`: a StepAction's script has no parameters; pass it by env",
                )
            message = check_param_reference(reference, known)
            if message:
                yield reference.path, message
        if reference.parts[:2] == ("step", "results") and reference.parts[2] not in results:
            yield reference.path, f"`{reference.text}`: result `{reference.parts[2]}` is not declared"
    for index, mount in items(spec, "volumeMounts"):
        if not any(found.isolated for found in references(mount.get("name"))):
            yield ("volumeMounts", index, "name"), "the volume of a StepAction is named by one parameter"
