"""What Tekton refuses is refused before any request, each thing with its place."""

from __future__ import annotations

import copy

import pytest
import yaml

from servelab.tekton.check.check import check_objects
from servelab.tekton.check.known import known_of

TASK = yaml.safe_load("""
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build}
spec:
  params:
  - {name: model, type: string}
  - {name: config, type: string, default: ""}
  - {name: args, type: array, default: []}
  - {name: target, type: object, properties: {bucket: {type: string}, endpoint: {type: string}}, default: {endpoint: e}}
  results: [{name: url}]
  workspaces: [{name: data}, {name: cache, optional: true}]
  steps:
  - name: one
    image: alpine:3.20
    args: ["$(params.args[*])"]
    env: [{name: MODEL, value: "$(params.model) $(params.target.bucket)"}]
    script: echo $(workspaces.data.path) > $(results.url.path); echo $(date) $(context.taskRun.name)
  - name: two
    ref: {name: act}
    params: [{name: word, value: x}]
""")
ACTION = yaml.safe_load("""
apiVersion: tekton.dev/v1beta1
kind: StepAction
metadata: {name: act}
spec:
  params: [{name: word}]
  image: alpine:3.20
  env: [{name: WORD, value: $(params.word)}]
  script: echo "$WORD"
""")
PIPELINE = yaml.safe_load("""
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: pipe}
spec:
  params:
  - {name: model, type: string}
  - {name: list, type: array, default: [a]}
  workspaces: [{name: disk}]
  results: [{name: url, value: $(tasks.first.results.url)}]
  tasks:
  - name: first
    taskRef: {name: build}
    workspaces: [{name: data, workspace: disk}]
    timeout: 1h30m
    params:
    - {name: model, value: $(params.model)}
    - {name: config, value: {nested: [1, {a: b}]}}
    - {name: args, value: ["$(params.list[*])", "--x"]}
  - name: second
    runAfter: [first]
    params: [{name: url, value: $(tasks.first.results.url)}]
    taskSpec:
      params: [{name: url}]
      steps: [{name: say, image: "alpine:3.20", script: "echo $(params.url)"}]
    when: [{input: $(params.model), operator: in, values: [a]}]
  finally:
  - name: clean
    taskSpec:
      params: [{name: how}]
      steps: [{image: "alpine:3.20", command: [echo], args: ["$(params.how)"]}]
    params: [{name: how, value: $(tasks.status) $(tasks.first.status) $(context.pipelineRun.name)}]
""")
RUN = yaml.safe_load("""
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {generateName: pipe-}
spec:
  pipelineRef: {name: pipe}
  params: [{name: model, value: m}]
  timeouts: {pipeline: 6h, tasks: 5h30m}
  taskRunTemplate: {serviceAccountName: runner}
  workspaces: [{name: disk, persistentVolumeClaim: {claimName: data}}]
""")
KNOWN = known_of([TASK, ACTION])


def said(document, known=KNOWN, others=()):
    return "\n".join(map(str, check_objects([document, *others], known)))


def changed(document, path, value):
    made = copy.deepcopy(document)
    place = made
    for part in path[:-1]:
        place = place[part]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


def test_what_is_right_is_accepted():
    assert said(PIPELINE, others=[TASK, ACTION, RUN]) == ""


FIRST, SECOND, CLEAN = ("spec", "tasks", 0), ("spec", "tasks", 1), ("spec", "finally", 0)
STEP = ("spec", "steps", 0)

WRONG_PIPELINES = [
    (("kind",), "Pipelin", "`Pipelin` is none of"),
    (("apiVersion",), "tekton.dev/v2", "`tekton.dev/v2`: a Pipeline is of tekton.dev/v1"),
    (("metadata", "name"), "a.b", "the name of the object, `a.b`, may hold only"),
    (("metadata", "name"), "x" * 64, "has 64 characters; 63 are allowed"),
    (("metadata",), {}, "metadata: `name` is missing"),
    (("spec", "taks"), [], "unknown field `taks`, did you mean `tasks`?"),
    (("spec", "tasks"), [], "a pipeline needs `tasks` beside `finally`"),
    ((*FIRST, "name"), "x" * 64, f"the name of the task, `{'x' * 64}`, has 64 characters; 63 are allowed"),
    ((*FIRST, "name"), "First", "spec.tasks[0].name: the name of the task, `First`, may hold only a-z"),
    ((*FIRST, "name"), "clean", "two tasks are called `clean`, the other is spec.tasks[0]"),
    ((*FIRST, "name"), ..., "the name of the task is missing"),
    ((*FIRST, "taskRef"), ..., "a task has one of taskRef, taskSpec"),
    ((*FIRST, "taskRef"), {"name": "biuld"}, "there is no Task `biuld`, did you mean `build`?"),
    ((*FIRST, "taskRef"), "build", "spec.tasks[0].taskRef: a mapping was expected, this is 'build'"),
    ((*FIRST, "taskRef"), {}, "a `taskRef` has a `name` or a `resolver`"),
    ((*FIRST, "taskRef"), {"name": "x", "kind": "ClusterTask"}, "there are no ClusterTasks any more"),
    ((*FIRST, "runAfter"), ["nobody"], "there is no task `nobody` to run after"),
    ((*FIRST, "runAfter"), ["clean"], "there is no task `clean` to run after, it is a final task"),
    ((*FIRST, "runAfter"), ["first"], "task `first` runs after itself"),
    ((*FIRST, "runAfter"), ["second"], "tasks wait for one another: `first` -> `second` -> `first`"),
    ((*FIRST, "runAfter"), "second", "a list was expected, this is 'second'"),
    ((*CLEAN, "runAfter"), ["first"], "final tasks have no order among themselves"),
    ((*FIRST, "params", 0, "value"), "$(params.modle)", "parameter `modle` is not declared; it has model, list"),
    ((*FIRST, "params", 0, "value"), "$(params.list)", "parameter `list` is an array; write $(params.list[*])"),
    ((*FIRST, "params", 0, "value"), "x $(params.list[*])", "all of an array has to be an item of its own"),
    ((*FIRST, "params", 0, "value"), "$(params.list[*])", ""),
    (
        (*FIRST, "params", 0, "value"),
        ["a"],
        "parameter `model` of Task `build` is of type string, the value is an array",
    ),
    ((*FIRST, "params", 1, "value"), {"only": "texts"}, "the value is an object (a mapping of texts only"),
    (
        (*FIRST, "params", 2, "value"),
        "text",
        "parameter `args` of Task `build` is of type array, the value is a string",
    ),
    ((*FIRST, "params", 2, "value"), [1], "(not all of its values are texts)"),
    ((*FIRST, "params", 0, "value"), None, "the value of parameter `model` is nothing"),
    ((*FIRST, "params", 0), {"name": "extra", "value": "x"}, "Task `build` has no parameter `extra`; it has model"),
    ((*FIRST, "params", 0), {"name": "extra", "value": "x"}, "Task `build` needs parameter `model`"),
    ((*FIRST, "params", 1, "name"), "model", "parameter `model` is given twice"),
    ((*FIRST, "params", 1), {"name": "target", "value": {"endpoint": "x"}}, "of Task `build` lacks `bucket`"),
    ((*FIRST, "params", 0, "valeu"), "x", "unknown field `valeu`, did you mean `value`?"),
    ((*FIRST, "workspaces"), [], "Task `build` needs workspace `data`"),
    ((*FIRST, "workspaces", 0, "workspace"), "disc", "the pipeline declares no workspace `disc`"),
    ((*FIRST, "workspaces", 0, "name"), "date", "Task `build` has no workspace `date`"),
    ((*FIRST, "timeout"), "90 minutes", "`90 minutes` is no duration"),
    ((*FIRST, "retries"), -1, "-1 retries are not possible"),
    ((*FIRST, "retries"), "3", "a whole number was expected, this is '3'"),
    ((*FIRST, "onError"), "ignore", "`ignore` is neither continue nor stopAndFail"),
    ((*SECOND, "params", 0, "value"), "$(tasks.frist.results.url)", "there is no task `frist`"),
    ((*SECOND, "params", 0, "value"), "$(tasks.first.results.uri)", "task `first` has no result `uri`; it has url"),
    ((*SECOND, "params", 0, "value"), "$(tasks.first.result.url)", "of a task there are results.NAME, status"),
    ((*SECOND, "params", 0, "value"), "$(tasks.first.status)", "only final tasks know how tasks ended"),
    ((*SECOND, "params", 0, "value"), "$(tasks.clean.results.x)", "there is no task `clean`, it is a final task"),
    ((*SECOND, "params", 0, "value"), "$(context.pipelineRun.uuid)", "context.pipelineRun has name, namespace, uid"),
    ((*SECOND, "params", 0, "value"), "$(context.taskRun.name)", "a pipeline knows context.pipelineRun"),
    ((*SECOND, "params", 0, "value"), "$(workspaces.disc.bound)", "the pipeline declares no workspace `disc`"),
    ((*SECOND, "params", 0, "value"), "$(date +%s) $HOME", ""),
    ((*SECOND, "when", 0, "operator"), "is", "the operator is in or notin, not `is`"),
    ((*SECOND, "when", 0, "values"), [], "`values` is empty"),
    ((*SECOND, "taskSpec", "steps", 0, "scirpt"), "x", "unknown field `scirpt`, did you mean `script`?"),
    (
        (*SECOND, "taskSpec", "steps", 0, "env"),
        [{"nam": "A"}],
        "steps[0].env[0]: unknown field `nam`, did you mean `name`",
    ),
    (
        (*SECOND, "taskSpec", "steps", 0, "script"),
        "$(params.modle)",
        "`modle` is not declared; it has model, list, url",
    ),
    ((*SECOND, "taskSpec", "steps", 0, "script"), "$(tasks.first.status)", "only final tasks know how tasks ended"),
    ((*SECOND, "taskSpec", "steps", 0, "script"), "$(tasks.second.results.x)", "uses a result of itself"),
    ((*SECOND, "params", 0), {"name": "uri", "value": "x"}, "the task has no parameter `uri`; it has url"),
    ((*FIRST, "taskRef"), {"name": "build", "resolver": "hub"}, "a `taskRef` has a `name` or a `resolver`"),
    ((*FIRST, "taskRef"), {"name": "build", "bundle": "b"}, "unknown field `bundle`"),
    ((*SECOND, "matrix"), {"params": [{"name": "url", "value": ["x"]}]}, "is in `matrix` and in `params`"),
    ((*SECOND, "matrix"), {"params": [{"name": "n", "value": "x"}]}, "parameter `n` of a matrix takes a list"),
    (
        (*SECOND, "matrix"),
        {"params": [{"name": "n", "value": ["x"] * 257}]},
        "257 combinations, Tekton runs at most 256",
    ),
    ((*FIRST, "matrix"), {"params": [{"name": "n", "value": ["x"]}]}, "so that there are many; write url[*]"),
    ((*SECOND, "pipelineSpec"), {"tasks": [{"name": "a", "runAfter": ["b"]}]}, "there is no task `b` to run after"),
    (("spec", "params", 0, "enum"), ["a"], ""),
    (("spec", "params", 0), {"name": "model", "enum": ["a"], "default": "b"}, "is not in its enum"),
    ((*SECOND, "taskSpec", "steps", 0, "image"), ..., "a step needs an `image` or a `ref`"),
    ((*SECOND, "taskSpec", "steps"), [], "a task needs `steps`"),
    (("spec", "params", 1, "default"), "a", "parameter `list` is of type array, its default is a string"),
    (("spec", "params", 1, "type"), "list", "type `list` is none of string, array and object"),
    (("spec", "params", 1, "name"), "model", "parameter `model` is declared twice"),
    (("spec", "params", 1, "name"), "7x", "parameter `7x`: a name holds letters"),
    (("spec", "workspaces"), [{"name": "disk"}, {"name": "disk"}], "workspace `disk` is declared twice"),
    (("spec", "results", 0, "value"), "fixed", "the result of a pipeline is a result of its tasks"),
    (("spec", "results", 0, "value"), "$(tasks.third.results.url)", "there is no task `third`"),
]


@pytest.mark.parametrize(("path", "value", "expected"), WRONG_PIPELINES)
def test_a_pipeline(path, value, expected):
    found = said(changed(PIPELINE, path, value))
    assert expected in found
    assert found or not expected


WRONG_TASKS = [
    ((*STEP, "image"), ..., "spec.steps[0]: a step needs an `image` or a `ref`"),
    ((*STEP, "command"), ["x"], "a step has `script` or `command`, not both"),
    ((*STEP, "script"), "$(results.uri.path)", "result `uri` is not declared"),
    ((*STEP, "script"), "$(workspaces.disk.path)", "workspace `disk` is not declared"),
    ((*STEP, "script"), "$(workspaces.data.file)", "a workspace has bound, claim, path, volume"),
    ((*STEP, "script"), "$(params.target)", "parameter `target` is an object; write $(params.target.KEY)"),
    ((*STEP, "script"), "$(params.target.bukket)", "there is no key `bukket`"),
    ((*STEP, "script"), "$(context.pipelineRun.name)", "a task knows context.taskRun and context.task"),
    ((*STEP, "script"), "$(steps.three.results.x)", "there is no step `three`"),
    ((*STEP, "script"), "$(step.results.x.path)", "the step does not declare result `x`"),
    ((*STEP, "computeResources"), {"limit": {}}, "unknown field `limit`, did you mean `limits`?"),
    ((*STEP, "name"), "two", "two steps are called `two`"),
    ((*STEP, "name"), "Two", "the name of a step, `Two`, may hold only"),
    (("spec", "steps", 1, "script"), "x", "a step with a `ref` has no `script`"),
    (("spec", "steps", 1, "ref", "name"), "atc", "there is no StepAction `atc`, did you mean `act`?"),
    (("spec", "steps", 1, "params"), [], "StepAction `act` needs parameter `word`"),
    (("spec", "steps", 1, "params", 0, "name"), "wrod", "StepAction `act` has no parameter `wrod`; it has word"),
    (("spec", "volumes"), [{"name": "v", "emptydir": {}}], "unknown field `emptydir`, did you mean `emptyDir`?"),
    (("spec", "params", 3, "properties"), ..., "parameter `target` of type object does not say its `properties`"),
    (("spec", "results", 0, "type"), "text", "type `text` is none of string, array and object"),
    (("spec", "results", 0, "type"), "object", "result `url` of type object does not say its `properties`"),
    ((*STEP, "volumeMounts"), [{"name": "v", "mountPath": "/tekton/bin"}], "/tekton is Tekton's own"),
    ((*STEP, "volumeMounts"), [{"name": "v", "mountPath": "/workspace/data"}], "is mounted at `/workspace/data`"),
]


@pytest.mark.parametrize(("path", "value", "expected"), WRONG_TASKS)
def test_a_task(path, value, expected):
    assert expected in said(changed(TASK, path, value))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("spec", "script"), "echo $(params.word)", "a StepAction's script has no parameters; pass it by env"),
        (("spec", "env", 0, "value"), "$(params.wrod)", "parameter `wrod` is not declared; it has word"),
        (("spec", "image"), ..., "spec: `image` is missing"),
        (
            ("spec", "volumeMounts"),
            [{"name": "v", "mountPath": "/v"}],
            "the volume of a StepAction is named by one param",
        ),
        (("spec", "timeout"), "1s", "unknown field `timeout`"),
    ],
)
def test_a_step_action(path, value, expected):
    assert expected in said(changed(ACTION, path, value))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("spec", "params"), [], "Pipeline `pipe` needs parameter `model`"),
        (("spec", "params", 0, "value"), ["m"], "parameter `model` of Pipeline `pipe` is of type string"),
        (("spec", "workspaces"), [], "Pipeline `pipe` needs workspace `disk`"),
        (("spec", "workspaces", 0, "name"), "disc", "Pipeline `pipe` needs workspace `disk`"),
        (("spec", "params", 0, "name"), "modle", "Pipeline `pipe` has no parameter `modle`; it has model, list"),
        (("spec", "workspaces", 0, "emptyDir"), {}, "this has emptyDir and persistentVolumeClaim"),
        (("spec", "timeouts", "tasks"), "soon", "`soon` is no duration"),
        (("spec", "timeouts", "task"), "1h", "unknown field `task`, did you mean `tasks`?"),
        (("spec", "pipelineSpec"), {}, "a PipelineRun has one of pipelineRef and pipelineSpec"),
        (("spec", "serviceAccountName"), "x", "unknown field `serviceAccountName`"),
        (("spec", "timeouts", "finally"), "31m", "`tasks` of 5h30m and `finally` of 31m do not fit into `pipeline`"),
        (("spec", "timeouts", "pipeline"), ..., "do not fit into `pipeline` of 1h, Tekton's default"),
        (("spec", "timeouts", "tasks"), "0", "`tasks` without limit does not fit into `pipeline` of 6h"),
        (("spec", "status"), "Stop", "`Stop` is none of Cancelled,"),
        (("spec", "params", 0, "value"), "$(tasks.a.results.b)", "before any task has results"),
        (
            ("spec", "taskRunTemplate", "podTemplate"),
            {"affinity": {"nodeAfinity": {}}},
            "`nodeAfinity`, did you mean `nodeAffinity`?",
        ),
        (
            ("spec", "taskRunTemplate", "podTemplate"),
            {"securityContext": {"fsgroup": 1}},
            "`fsgroup`, did you mean `fsGroup`?",
        ),
        (("metadata",), {}, "metadata: `name` is missing"),
    ],
)
def test_a_run(path, value, expected):
    assert expected in said(changed(RUN, path, value), others=[PIPELINE])


def test_without_known_tasks_references_are_taken_on_trust():
    assert said(changed(PIPELINE, (*FIRST, "taskRef"), {"name": "other"}), known=None) == ""


def test_a_cycle_over_results_is_found():
    made = changed(PIPELINE, (*FIRST, "params", 0, "value"), "$(tasks.second.results.x)")
    made["spec"]["tasks"][1]["taskSpec"]["results"] = [{"name": "x"}]
    del made["spec"]["tasks"][1]["runAfter"]
    assert "tasks wait for one another: `first` -> `second` -> `first`" in said(made)
