"""What comes with servelab passes every check, ours and the schemas of the real custom resources."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from servelab.spec.errors import DocumentError
from servelab.tekton import shipped
from servelab.tekton.check.check import check_objects
from servelab.tekton.check.known import known_of
from servelab.tekton.compile import compile_template, require_valid
from servelab.tekton.estimate import render_estimation
from servelab.tekton.values import read_mapping
from tests.kubernetes import definitions
from tests.tekton.test_goldens import DATA

ROOT = Path(__file__).parents[2]
KNOWN = known_of(shipped.definitions())
TEMPLATE = shipped.text("data-collection", "pipeline.yaml.j2")
VALUES = read_mapping(shipped.text("data-collection", "values.yaml"), "values.yaml")
IMAGES = {"python": "py:1", "helm": "helm:1", "kubectl": "kubectl:1", "shell": "sh:1", "collector": "otel:1"}


def with_values(**changes):
    """The shipped values with changes; ``stack`` is merged."""
    stack = {**VALUES["stack"], **changes.pop("stack", {})}
    return {**VALUES, **changes, "stack": stack}


EXPLICIT = {
    "explicit": [
        {"id": "eager", "tensorParallelism": 2, "overrides": ['decode.containers[name="vllm"].args=--enforce-eager']},
        {"id": "Long Context", "MAX_MODEL_LEN": 32768, "settings": {"note": 'it\'s "long"'}},
    ]
}
VARIANTS = {
    "as shipped": VALUES,
    "explicit treatments": with_values(stack={"treatments": EXPLICIT}),
    "side by side": with_values(stack={"parallel": True}),
    "dry": with_values(debug=True, workload={"harness": "nop"}, images=IMAGES),
    "inference-perf": with_values(
        workload={"harness": "inference-perf", "profileTemplate": {"load": {"stages": [{"rate": 1, "duration": 9}]}}}
    ),
    "upload": with_values(
        upload_target={"type": "s3", "configuration": {"bucket": "b", "endpoint": "https://s3.example.com"}},
        images=IMAGES,
    ),
}


def compiled(values):
    made = compile_template(TEMPLATE, values, "pipeline.yaml.j2")
    require_valid(made, KNOWN)
    return made.document


def tasks(values):
    return {task["name"]: task for task in compiled(values)["spec"]["tasks"]}


def given(task, name):
    (value,) = (param["value"] for param in task["params"] if param["name"] == name)
    return value


def every_object():
    run = [item for item in shipped.objects("data-collection") if item["kind"] == "PipelineRun"]
    estimation = render_estimation()
    return [
        *shipped.definitions(),
        *(compiled(values) for values in VARIANTS.values()),
        *run,
        *estimation.definitions,
        estimation.run,
    ]


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_every_form_of_the_pipeline_is_valid_with_its_run(values):
    (run,) = (item for item in shipped.objects("data-collection") if item["kind"] == "PipelineRun")
    assert check_objects([compiled(values), run], KNOWN) == []


def test_definitions_are_valid():
    assert check_objects(shipped.definitions(), KNOWN) == []


@pytest.fixture(scope="module")
def schemas():
    found = {}
    for file in definitions("tekton"):
        resource = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for version in resource["spec"]["versions"]:
            key = (f"tekton.dev/{version['name']}", resource["spec"]["names"]["kind"])
            found[key] = version["schema"]["openAPIV3Schema"]
    return lambda version, kind: found.get((version, kind))


def test_everything_fits_the_schemas_of_the_custom_resources(schemas):
    known = known_of([*shipped.definitions(), *render_estimation().definitions])
    assert check_objects(every_object(), known, schemas) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "said"),
    [
        ("Pipeline", ("spec", "tasks", 0, "retrys"), 1, "spec.tasks[0]: the API server knows no field `retrys`"),
        ("Pipeline", ("spec", "tasks", 0, "retries"), "x", "the API server expects integer, this is 'x'"),
        (
            "Pipeline",
            ("spec", "tasks", 0, "taskSpec"),
            {"stepz": []},
            "taskSpec: the API server knows no field `stepz`",
        ),
        ("Pipeline", ("spec", "tasks", 0, "taskSpec"), {"steps": [{"name": "a", "imag": "b"}]}, "no field `imag`"),
        ("Task", ("spec", "steps", 0, "env"), [{"value": "x"}], "the API server needs `name`"),
        ("StepAction", ("spec", "scripts"), "x", "the API server knows no field `scripts`"),
    ],
)
def test_the_schemas_find_typos(schemas, kind, path, value, said):
    made = copy.deepcopy(next(item for item in every_object() if item["kind"] == kind))
    place = made
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert said in "\n".join(map(str, check_objects([made], None, schemas)))


def test_treatments_run_one_after_the_other_unless_said_otherwise():
    assert "delete-model-2" in tasks(VALUES)["config-4"]["runAfter"]
    assert "delete-model-2" not in tasks(with_values(stack={"parallel": True}))["config-4"]["runAfter"]


def test_explicit_treatments_have_limits_and_rules_of_their_own():
    made = tasks(VARIANTS["explicit treatments"])
    eager, long = given(made["deploy-eager"], "overrides"), given(made["deploy-long-context"], "overrides")
    assert "decode.parallelism.tensor=2" in eager
    assert eager[-1] == 'decode.containers[name="vllm"].args=--enforce-eager'
    assert 'decode.containers[name="vllm"].args=--max-model-len=32768' in long
    assert given(made["config-long-context"], "extra") == '{"note": "it\'s \\"long\\""}'


def test_the_dry_form_installs_nothing_and_uses_the_given_images():
    made = compiled(VARIANTS["dry"])
    assert not any(task["name"].startswith("install") for task in made["spec"]["tasks"])
    for task in [*made["spec"]["tasks"], *made["spec"]["finally"]]:
        params = {param["name"]: param["value"] for param in task["params"]}
        assert params.get("debug", "true") == "true"
        images = [value for name, value in params.items() if name.lower().endswith("image")]
        assert images
        assert set(images) <= set(IMAGES.values())


def test_every_image_is_a_parameter_with_a_tag():
    for item in (*shipped.definitions(), *shipped.objects("load-generator"), *shipped.objects("estimation")):
        if item["kind"] not in {"Task", "StepAction"}:
            continue
        spec = item["spec"]
        for step in spec.get("steps", [spec]):
            assert "ref" in step or step["image"].startswith("$(params."), item["metadata"]["name"]
        for param in spec["params"]:
            if param["name"].lower().endswith("image"):
                assert ":" in param["default"]
                assert not param["default"].endswith(":latest")


def test_manifests_hold_the_programs_as_they_are():
    done = subprocess.run([sys.executable, ROOT / "scripts/embed-steps"], capture_output=True, text=True, check=True)
    assert done.stdout == "", "scripts/embed-steps was not run after a change of a script; it has been run now"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")
def test_our_tasks_have_what_the_original_ones_have():
    for name, spec in KNOWN.tasks.items():
        file = DATA / f"tekton/tasks/{name}.yaml"
        if not file.exists():
            continue
        original = yaml.safe_load(file.read_text())["spec"]
        ours = {param["name"]: param.get("type", "string") for param in spec["params"]}
        theirs = {param["name"]: param.get("type", "string") for param in original.get("params", ())}
        assert theirs.items() <= ours.items(), name
        required = {param["name"] for param in spec["params"] if "default" not in param}
        assert required <= set(theirs), name
        workspaces = {workspace["name"] for workspace in original.get("workspaces", ())}
        own = {workspace["name"] for workspace in spec.get("workspaces", ())}
        assert workspaces <= own | {"source"}, name


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")
def test_the_original_template_runs_on_our_tasks_and_our_template_on_its_values():
    folder = DATA / "tektoncsample/blis"
    values = read_mapping((folder / "values.yaml").read_text(), "values.yaml")
    require_valid(compile_template((folder / "data_pipeline.yaml.j2").read_text(), values), KNOWN)
    compiled(values)


def test_the_files_of_the_estimation_are_those_of_its_documentation():
    assert set(shipped.names("estimation")) == {
        "namespace.yaml",
        "task-calculate-params.yaml",
        "pipeline.yaml",
        "pipelinerun.example.yaml",
        "99-hf-secret.example.yaml",
        "kustomization.yaml",
    }
    pipeline = render_estimation().files["pipeline.yaml"]["spec"]
    assert {param["name"]: param["default"] for param in pipeline["params"]} == {
        "target-url": "http://vllm:8000",
        "model": "unsloth/Meta-Llama-3.1-8B",
        "prompt-tokens": "128",
        "output-tokens": "128",
        "max-seconds": "360",
        "max-concurrency": "64",
        "batch-size": "64",
        "hf-secret-name": "huggingface-secret",
    }
    names = ["alpha", "beta", "parameters-file", "synchronous-report", "throughput-report"]
    assert [result["name"] for result in pipeline["results"]] == names
    for task in pipeline["tasks"][:2]:
        assert task["taskRef"]["resolver"] == "cluster"
        fetched = {param["name"]: param["value"] for param in task["taskRef"]["params"]}
        assert fetched == {"kind": "task", "name": "guidellm-load-generator", "namespace": "pipelines"}
    assert [task["name"] for task in pipeline["tasks"]] == [
        "run-synchronous-benchmark",
        "run-throughput-benchmark",
        "calculate-parameters",
    ]


def test_the_estimation_follows_its_namespace_and_parameters():
    made = render_estimation("bench", ["max-concurrency=128", "target-url=http://x:1"])
    assert made.files["namespace.yaml"]["metadata"]["name"] == "bench"
    assert made.files["kustomization.yaml"]["namespace"] == "bench"
    assert {item["metadata"]["namespace"] for item in (*made.definitions, made.run)} == {"bench"}
    params = {param["name"]: param["value"] for param in made.run["spec"]["params"]}
    assert (params["max-concurrency"], params["batch-size"], params["target-url"]) == ("128", "128", "http://x:1")
    assert render_estimation().files["namespace.yaml"]["metadata"]["name"] == "wva-training"


@pytest.mark.parametrize("size", ["1", "0", "abc", "-4", "2.5", "", "99999999999"])
@pytest.mark.parametrize("name", ["max-concurrency", "batch-size"])
def test_a_batch_through_which_no_line_goes_is_refused(name, size):
    with pytest.raises(DocumentError, match="has to be a whole number of 2 or more"):
        render_estimation("bench", [f"{name}={size}"])
