"""A study as a pipeline."""

from __future__ import annotations

import contextlib
import json

import pytest

from servelab.catalog.study import load_study
from servelab.spec.errors import DocumentError
from servelab.tekton import shipped
from servelab.tekton.check.check import check_objects
from servelab.tekton.check.known import known_of
from servelab.tekton.render import render_study
from servelab.tekton.scripts.override import override
from servelab.tekton.values import read_mapping
from tests.tekton.test_shipped import given

STUDY = """
name: chunked
model: {id: Qwen/Qwen3-0.6B}
engine:
  name: vllm
  version: 0.11.0
  arguments: {max_model_len: 4096, enable_prefix_caching: false}
  environment: {VLLM_LOGGING_LEVEL: "1"}
  resources: {cpus: 8, memory_gb: 64}
workload: chatbot
load: {concurrency: [1, 8], requests: 50}
treatments:
- {tensor_parallel_size: 2, max_num_seqs: 64}
- {enforce_eager: true, dtype: bfloat16}
"""


def rendered(text=STUDY, **options):
    return render_study(load_study(text, "study.yaml"), **options)


def tasks(rendering):
    return {task["name"]: task for task in rendering.pipeline["spec"]["tasks"]}


def test_everything_is_valid_and_named_after_the_experiment():
    made = rendered(namespace="bench", experiment="exp-1")
    assert check_objects(made.objects, known_of(made.definitions)) == []
    assert made.run["metadata"] == {"name": "exp-1", "namespace": "bench"}
    params = {param["name"]: param["value"] for param in made.run["spec"]["params"]}
    assert params == {"experimentId": "exp-1", "model": "Qwen/Qwen3-0.6B", "namespace": "bench"}
    assert made.run["spec"]["pipelineRef"]["name"] == made.pipeline["metadata"]["name"] == "chunked"


def test_treatments_become_overrides():
    first, second = (given(tasks(rendered())[f"deploy-t{number}"], "overrides") for number in (0, 1))
    for rules in (first, second):
        assert 'decode.containers[name="vllm"].args=--max-model-len=4096' in rules
        assert 'decode.containers[name="vllm"].args=--no-enable-prefix-caching' in rules
        assert 'decode.containers[name="vllm"].image=vllm/vllm-openai:v0.11.0' in rules
        assert "decode.initContainers[0].image=vllm/vllm-openai:v0.11.0" in rules
        assert 'decode.containers[name="vllm"].env[name="VLLM_LOGGING_LEVEL"].value="1"' in rules
        assert 'decode.containers[name="vllm"].resources.limits.memory="64G"' in rules
    assert "decode.parallelism.tensor=2" in first
    assert 'decode.containers[name="vllm"].args=--max-num-seqs=64' in first
    assert "decode.parallelism.tensor=1" in second
    assert 'decode.containers[name="vllm"].args=--enforce-eager' in second
    assert 'decode.containers[name="vllm"].args=--dtype=bfloat16' in second
    assert not any("max-num-seqs" in rule for rule in second)


def test_workload_and_load_reach_the_harness():
    task = tasks(rendered())["workload-t1"]
    assert task["taskRef"]["name"] == "run-workload-guidellm"
    assert (given(task, "rate_type"), given(task, "rate")) == ("concurrent", "1,8")
    assert (given(task, "max_requests"), given(task, "prompt_tokens"), given(task, "warmup")) == ("50", "256", "2")


@pytest.mark.parametrize(
    ("load", "kind", "rate"),
    [
        ("{sweep: 5, requests: 9}", "sweep", "5"),
        ("{synchronous: true, seconds: 60}", "synchronous", ""),
        ("{throughput: true, max_concurrency: 64, seconds: 60}", "throughput", "64"),
        ("{rate: [0.5, 2], requests: 9}", "poisson", "0.5,2"),
        ("{rate: 3, arrival: constant, requests: 9}", "constant", "3"),
    ],
)
def test_loads(load, kind, rate):
    task = tasks(rendered(STUDY.replace("{concurrency: [1, 8], requests: 50}", load)))["workload-t0"]
    assert (given(task, "rate_type"), given(task, "rate")) == (kind, rate)


def test_factors_are_treatments_too_and_a_study_without_any_is_one():
    text = STUDY.partition("treatments:")[0]
    assert (
        len(
            rendered(text + "factors: {max_num_seqs: [1, 2], enforce_eager: [true, false]}").values["stack"][
                "treatments"
            ]["explicit"]
        )
        == 4
    )
    assert len(rendered(text).values["stack"]["treatments"]["explicit"]) == 1


def test_the_run_has_time_for_every_treatment():
    one, two = (
        rendered(STUDY.partition("- {enforce")[0] if short else STUDY).run["spec"]["timeouts"] for short in (1, 0)
    )
    assert int(two["tasks"].rstrip("m")) > int(one["tasks"].rstrip("m"))
    assert int(two["pipeline"].rstrip("m")) == int(two["tasks"].rstrip("m")) + int(two["finally"].rstrip("m"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("name: vllm", "name: llamacpp", "the pipeline deploys vllm or sglang, not llamacpp"),
        (
            "workload: chatbot",
            "workload: chatbot\nplatform: {name: endpoint, options: {url: 'http://x'}}",
            "deploys the engine itself",
        ),
        (
            "{concurrency: [1, 8], requests: 50}",
            "{sweep: 5, requests: 9}\nharness: inference-perf",
            "inference-perf takes concurrencies and rates",
        ),
        (
            "workload: chatbot",
            "workload: {prompt: {distribution: lognormal, mean: 9, stdev: 3}, output: 9}",
            "workload.prompt",
        ),
        ("workload: chatbot", "workload: {prompt: 9, output: 9, turns: 3}", "synthetic prompts of one turn"),
        (
            "workload: chatbot",
            "workload: chatbot\nharness: aiperf",
            "loads with guidellm, inference-perf or nop, not aiperf",
        ),
        ("{concurrency: [1, 8], requests: 50}", "{ramp: {low: 1, high: 2}, seconds: 9}", "load: the pipeline knows"),
        ("environment:", "environment_from: [HF_TOKEN]\n  environment:", "HF_TOKEN would have to come from a secret"),
        (
            "workload: chatbot",
            "workload: {prompt: 9, output: 9, api: chat}\nharness: inference-perf",
            "workload.api: inference-perf posts completions",
        ),
        ("cpus: 8", "accelerator: a100-80gb", "a100-80gb, but the values let the engine run on NVIDIA-H100-80GB-HBM3"),
        (
            "cpus: 8",
            "accelerators: 4",
            "engine.resources.accelerators: 4, but with tensor_parallel_size 2 it takes 2",
        ),
        ("max_model_len: 4096", "pipeline_parallel_size: 2", "engine: 4 ranks with tensor_parallel_size 2"),
        ("enforce_eager: true", "data_parallel_size: 2", "engine: 2 ranks with tensor_parallel_size 1"),
        ("workload: chatbot", "workload: chatbot\nbudget: {repeats: 3}", "measures each level once, not 3 times"),
        ("environment:", "executable: /opt/vllm\n  environment:", "engine.executable: /opt/vllm is of this machine"),
        ("workload: chatbot", "workload: chatbot\nharness: {name: guidellm, options: {a: 1}}", "harness.options: a"),
        ("Qwen3-0.6B}", "Qwen3-0.6B, path: /models/q}", "model.path: /models/q is of this machine"),
        ("Qwen3-0.6B}", "Qwen3-0.6B, served_name: q}", "the chart serves the model as Qwen/Qwen3-0.6B"),
    ],
)
def test_what_the_pipeline_cannot_do_is_said(before, after, said):
    with pytest.raises(DocumentError) as caught:
        rendered(STUDY.replace(before, after).replace("version: 0.11.0\n", "version: 0.11.0\n"))
    assert said in str(caught.value)


@pytest.mark.parametrize("resources", ["accelerators: 2", "accelerator: h100", "accelerator: h100-80gb"])
def test_resources_that_the_pipeline_gives_anyway_are_taken(resources):
    text = STUDY.replace("cpus: 8", resources).partition("- {enforce")[0]
    assert given(tasks(rendered(text))["deploy-t0"], "overrides")[0] == "decode.parallelism.tensor=2"


@pytest.mark.parametrize(("label", "fits"), [("NVIDIA-A100-SXM4-80GB", True), ("NVIDIA-A100-SXM4-40GB", False)])
def test_an_accelerator_is_held_against_the_values(label, fits):
    values = read_mapping(shipped.text("data-collection", "values.yaml"), "values.yaml")
    values["stack"]["model"]["helmValues"]["decode"]["acceleratorTypes"]["labelValues"] = [label]
    text = STUDY.replace("cpus: 8", "accelerator: a100-80gb")
    with contextlib.nullcontext() if fits else pytest.raises(DocumentError, match=f"run on {label}"):
        rendered(text, values=values)


def test_a_space_is_searched_elsewhere():
    text = STUDY.partition("treatments:")[0]
    text += "space: {parameters: {max_num_seqs: [1, 2]}}\nobjectives: [maximize output_throughput]\n"
    with pytest.raises(DocumentError, match="explicit configurations"):
        rendered(text)


def test_names_that_become_too_long():
    with pytest.raises(DocumentError, match="has 50 characters; here 44 are allowed"):
        rendered(experiment="x" * 50)
    with pytest.raises(DocumentError, match="may hold only a-z"):
        rendered(experiment="Exp")


def test_sglang_is_a_command_of_the_chart():
    text = STUDY.replace("name: vllm\n  version: 0.11.0", "name: sglang").partition("  arguments:")[0]
    made = rendered(text + "workload: chatbot\nload: {concurrency: 4, requests: 9}\ntreatments: [{tp_size: 2}]\n")
    task = tasks(made)["deploy-t0"]
    values = override(json.loads(given(task, "config")), given(task, "overrides"))["decode"]
    (container,) = values["containers"]
    assert values["parallelism"]["tensor"] == 2
    assert values["initContainers"] == []
    assert container["image"].startswith("lmsysorg/sglang:v")
    assert (container["modelCommand"], container["command"][-1]) == ("custom", "sglang.launch_server")
    assert {"--model-path=/model-cache/models/$(params.model)", "--port=8000", "--tp-size=2"} <= set(container["args"])
    assert not [argument for argument in container["args"] if "otlp" in argument or "max-" in argument]


def test_inference_perf_gets_a_stage_for_each_level():
    made = rendered(STUDY.replace("workload: chatbot", "workload: chatbot\nharness: inference-perf"))
    task = tasks(made)["workload-t0"]
    assert task["taskRef"]["name"] == "run-workload-inference-perf"
    profile = json.loads(given(task, "profileTemplate"))
    assert [stage["concurrency_level"] for stage in profile["load"]["stages"]] == [1, 8]
    assert (profile["load"]["type"], profile["data"]["type"]) == ("concurrent", "shared_prefix")


def test_inference_perf_warms_up_at_the_highest_level():
    text = STUDY.replace("workload: chatbot", "workload: chatbot\nharness: inference-perf")
    stage = json.loads(given(tasks(rendered(text))["workload-t0"], "warmup"))
    assert stage == {"num_requests": 8, "concurrency_level": 8}
    cold = rendered(text.replace("requests: 50}", "requests: 50, warmup: 0}"))
    assert "warmup" not in {one["name"] for one in tasks(cold)["workload-t0"]["params"]}


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_the_api_reaches_guidellm(api):
    text = STUDY.replace("workload: chatbot", f"workload: {{prompt: 9, output: 9, api: {api}}}")
    assert given(tasks(rendered(text))["workload-t0"], "api") == api


def test_revision_and_tokenizer_reach_the_tasks():
    made = tasks(rendered(STUDY.replace("Qwen3-0.6B}", "Qwen3-0.6B, revision: '1.0', tokenizer: org/other}")))
    assert given(made["download-model"], "revision") == "1.0"
    assert given(made["workload-t1"], "tokenizer") == "org/other"
    plain = tasks(rendered())
    names = {one["name"] for name in ("download-model", "workload-t1") for one in plain[name]["params"]}
    assert not {"revision", "tokenizer"} & names


def test_a_dry_run_deploys_and_loads_nothing():
    made = rendered(dry=True)
    assert tasks(made)["workload-t0"]["taskRef"]["name"] == "run-workload-nop"
    assert not any(name.startswith("install") for name in tasks(made))
    assert all(given(tasks(made)[name], "debug") == "true" for name in ("download-model", "deploy-t0", "otel-t1"))
