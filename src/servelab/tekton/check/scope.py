"""The variables that the tasks of a pipeline may use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from servelab.tekton.check.known import Known
from servelab.tekton.check.params import Found, check_param_reference, declared, items
from servelab.tekton.check.references import Reference, references

_RUN = {"name", "namespace", "uid"}
_USES = ("params", "when", "matrix", "workspaces", "displayName", "taskRef", "timeout", "onError")


class PipelineScope:
    """Parameters, workspaces, and the results of tasks, where those are known."""

    def __init__(self, spec: Mapping[str, Any], known: Known | None) -> None:
        self._params = declared(spec)
        self._workspaces = {str(item.get("name")) for _, item in items(spec, "workspaces")}
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

    def _wrong(self, reference: Reference, section: str) -> str | None:
        text = reference.text
        match reference.parts:
            case ("params", _, *_):
                return check_param_reference(reference, self._params)
            case ("workspaces", name, *rest):
                if name not in self._workspaces:
                    return f"`{text}`: the pipeline declares no workspace `{name}`"
                return None if rest == ["bound"] else f"`{text}`: in a pipeline, a workspace has only `bound`"
            case ("context", "pipelineRun", name):
                return None if name in _RUN else f"`{text}`: context.pipelineRun has {', '.join(sorted(_RUN))}"
            case ("context", "pipeline", name):
                return None if name == "name" else f"`{text}`: context.pipeline has name"
            case ("context", "pipelineTask", name):
                return None if name == "retries" else f"`{text}`: context.pipelineTask has retries"
            case ("context", *_):
                return f"`{text}`: a pipeline knows context.pipelineRun, context.pipeline and context.pipelineTask"
            case ("tasks", "status") | ("tasks", _, "status" | "reason"):
                return self._wrong_status(reference, section)
            case ("tasks", _, "results", *_):
                return self.wrong_result(reference, "tasks")
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
        return None


def _results(task: Mapping[str, Any], known: Known | None) -> frozenset[str] | None:
    body, ref = task.get("taskSpec"), task.get("taskRef")
    spec: Mapping[str, Any] | None = body if isinstance(body, dict) and "spec" not in body else None
    if isinstance(ref, dict) and known is not None and not ref.get("resolver") and not ref.get("apiVersion"):
        spec = known.tasks.get(str(ref.get("name")))
    return None if spec is None else frozenset(str(item.get("name")) for _, item in items(spec, "results"))
