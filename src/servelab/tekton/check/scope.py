"""The variables that the tasks of a pipeline may use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from servelab.tekton.check.known import Known
from servelab.tekton.check.params import Declared, Found, check_param_reference, declared, items, propagated
from servelab.tekton.check.references import Reference, references

_CONTEXT = {"pipelineRun": ("name", "namespace", "uid"), "pipeline": ("name",), "pipelineTask": ("retries",)}
_USES = ("params", "when", "matrix", "workspaces", "displayName", "taskRef", "timeout", "onError")


@dataclass(frozen=True)
class Around:
    """What a task that is embedded in a pipeline sees of it."""

    params: Mapping[str, Declared]
    workspaces: frozenset[str]
    wrong: Callable[[Reference], str | None]
    """Why a variable of the pipeline has no value there."""


class PipelineScope:
    """Parameters, workspaces, and the results of tasks, where those are known."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        known: Known | None,
        params: Mapping[str, Declared] | None,
        workspaces: Collection[str],
    ) -> None:
        self.in_run = params is not None
        """Whether it is embedded in a run, so that the tasks embedded in it see what they are given as well."""
        self.params = {**(params or {}), **declared(spec)}
        self.workspaces = frozenset((*workspaces, *(str(item.get("name")) for _, item in items(spec, "workspaces"))))
        self._matrixed = {str(task.get("name")) for _, task in items(spec, "tasks") if task.get("matrix")}
        self._results = {
            section: {str(task.get("name")): _results(task, known) for _, task in items(spec, section)}
            for section in ("tasks", "finally")
        }

    def check_task(self, task: Mapping[str, Any], section: str) -> Iterator[Found]:
        """The variables in what a task of ``section`` is given; paths begin below it."""
        for field in _USES:
            for reference in references(task.get(field), (field,)):
                message = self._wrong(reference, section)
                if message:
                    yield reference.path, message

    def around(self, task: Mapping[str, Any], section: str) -> Around:
        """What ``task`` of ``section``, whose spec is embedded, sees."""
        given = propagated(task) if self.in_run else {}
        return Around({**self.params, **given}, self.workspaces, lambda reference: self._wrong(reference, section))

    def _wrong(self, reference: Reference, section: str) -> str | None:
        text = reference.text
        match reference.parts:
            case ("params", _, *_):
                return check_param_reference(reference, self.params)
            case ("workspaces", name, *rest):
                if name not in self.workspaces:
                    return f"`{text}`: the pipeline declares no workspace `{name}`"
                return None if rest == ["bound"] else f"`{text}`: in a pipeline, a workspace has only `bound`"
            case ("context", of, name) if of in _CONTEXT:
                return None if name in _CONTEXT[of] else f"`{text}`: context.{of} has {', '.join(_CONTEXT[of])}"
            case ("context", *_):
                return f"`{text}`: a pipeline knows context.pipelineRun, context.pipeline and context.pipelineTask"
            case ("tasks", "status") | ("tasks", _, "status" | "reason"):
                return self._wrong_status(reference, section)
            case ("tasks", _, "results", *_):
                return self.wrong_result(reference, "tasks")
            case ("tasks", name, "matrix", *_, "length") if name in self._matrixed:
                return None
            case ("tasks", name, "inputs" | "outputs", _) if name in self._results["tasks"]:
                return None  # artifacts
            case ("tasks", *_):
                return f"`{text}`: of a task there are results.NAME, status and reason"
            case ("finally", *_):
                return f"`{text}`: no task can use a final task's results"
        return None

    def _wrong_status(self, reference: Reference, section: str) -> str | None:
        if section == "tasks":
            return f"`{reference.text}`: only final tasks know how tasks ended"
        if len(reference.parts) == 3 and reference.parts[1] not in self._results["tasks"]:
            return f"`{reference.text}`: there is no task `{reference.parts[1]}`"
        return None

    def wrong_result(self, reference: Reference, section: str) -> str | None:
        """Why the result of a task in ``section`` does not exist."""
        if len(reference.parts) < 4 or reference.parts[2] != "results":
            return f"`{reference.text}`: results are written as $(tasks.NAME.results.RESULT)"
        task, name = reference.parts[1], ".".join(reference.parts[3:])
        if task not in self._results[section]:
            also = ", it is a final task" if section == "tasks" and task in self._results["finally"] else ""
            return f"`{reference.text}`: there is no task `{task}`{also}"
        results = self._results[section][task]
        if results is not None and not ({name, reference.parts[3]} & results):
            has = f"; it has {', '.join(sorted(results))}" if results else "; it has none"
            return f"`{reference.text}`: task `{task}` has no result `{name}`{has}"
        if section == "tasks" and task in self._matrixed and reference.index != "*":
            return f"`{reference.text}`: task `{task}` has a matrix, so that there are many; write {name}[*]"
        return None


def _results(task: Mapping[str, Any], known: Known | None) -> frozenset[str] | None:
    body, ref = task.get("taskSpec"), task.get("taskRef")
    spec: Mapping[str, Any] | None = body if isinstance(body, dict) and "spec" not in body else None
    if isinstance(ref, dict) and known is not None and not ref.get("resolver") and not ref.get("apiVersion"):
        spec = known.tasks.get(str(ref.get("name")))
    return None if spec is None else frozenset(str(item.get("name")) for _, item in items(spec, "results"))
