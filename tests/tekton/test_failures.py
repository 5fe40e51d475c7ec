"""What clusters and engines say when a run fails, and what is made of it. The texts are those that programs print."""

from __future__ import annotations

import pytest

from servelab.catalog.engines import engine_arguments
from servelab.tekton.chart import STARTED
from servelab.tekton.diagnosis import diagnose, rules
from servelab.tekton.evidence import Evidence

PARAMETERS = {
    "tensor_parallel_size": 2,
    "max_model_len": 8192,
    "max_num_seqs": 256,
    "memory": "64Gi",
    "quantization": "awq",
    "startup_probes": 120,
    "image": "vllm/vllm-openai:v0.11.0",
}


def log(text: str) -> Evidence:
    return Evidence("log", "engine-0/vllm", "", text, 1)


CASES = {
    "CUDA out of memory": (
        log("ERROR worker died\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"),
        "out_of_memory",
        [
            "[Increase TP] TP=2 -> 4",
            "[Reduce context] max_model_len=8192 -> 4096",
            "[Reduce batch]",
            "[Reduce context and",
        ],
    ),
    "CUDA out of memory, as the seed writes it": (
        log("RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB"),
        "out_of_memory",
        [
            "[Increase TP] TP=2 -> 4",
            "[Reduce context]",
            "[Reduce batch] max_num_seqs=256 -> 128",
            "[Reduce context and",
        ],
    ),
    "OOMKilled": (
        Evidence("terminated", "engine-0/vllm", "OOMKilled", "", 137),
        "out_of_memory",
        ["[More host memory] memory=64Gi -> 128Gi", "[Reduce batch]"],
    ),
    "ImagePullBackOff": (
        Evidence("waiting", "engine-0/vllm", "ImagePullBackOff", 'Back-off pulling image "vllm/vllm-openai:v9"'),
        "image_pull",
        ["[Another image]", "[Submit again"],
    ),
    "a model that is not there": (
        log("OSError: meta-llama/Llama-9 is not a local folder and is not a valid model identifier listed on"),
        "model_not_found",
        ["[Submit again"],
    ),
    "a model that is not there, as the seed writes it": (
        log("OSError: /models/x does not exist"),
        "model_not_found",
        ["[Submit again"],
    ),
    "a gated model": (
        log("huggingface_hub.errors.GatedRepoError: 401 Client Error. Cannot access gated repo for url"),
        "model_not_found",
        ["[Submit again"],
    ),
    "trust_remote_code": (
        log(
            "ValueError: The repository for x/y contains custom code which must be executed to correctly load the"
            " model. Please pass the argument `trust_remote_code=True` to allow custom code to be run."
        ),
        "bad_argument",
        ["[Trust the model's own code] trust_remote_code=True"],
    ),
    "trust_remote_code, as the seed writes it": (
        log("ValueError: trust_remote_code"),
        "bad_argument",
        ["[Trust the model's own code]"],
    ),
    "quantization, as the seed writes it": (
        log("ValueError: quantization config not found"),
        "bad_argument",
        ["[Leave quantization to the model] quantization=awq -> unset"],
    ),
    "quantization that does not match": (
        log("ValueError: Cannot find the config file for awq"),
        "bad_argument",
        ["[Leave quantization to the model]"],
    ),
    "not schedulable": (
        Evidence("pod", "engine-0", "Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        "machine_exhausted",
        ["[Reduce TP] TP=2 -> 1", "[Submit again"],
    ),
    "no node with the label": (
        Evidence(
            "event",
            "engine-0",
            "FailedScheduling",
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
        ),
        "unsupported",
        ["[Submit again"],
    ),
    "quota": (
        Evidence(
            "event",
            "engine",
            "FailedCreate",
            'pods "engine-0" is forbidden: exceeded quota: team-a, requested: requests.nvidia.com/gpu=4',
        ),
        "machine_exhausted",
        ["[Reduce TP]", "[Submit again"],
    ),
    "evicted": (
        Evidence("pod", "engine-0", "Evicted", "The node was low on resource: memory."),
        "machine_exhausted",
        ["[Submit again", "[More host memory]"],
    ),
    "not ready in time": (
        Evidence(
            "condition",
            "deploy-model-2",
            "TaskRunTimeout",
            'deploy-model-2: TaskRun "x-deploy-model-2" failed to finish within "1h0m0s"',
        ),
        "ready_timeout",
        ["[Wait longer for the engine] startup probes=120 -> 240", "[Submit again"],
    ),
    "not ready, as kubectl wait says": (
        log("error: timed out waiting for the condition on pods/engine-0"),
        "ready_timeout",
        ["[Wait longer", "[Submit again"],
    ),
    "a secret that is not there": (
        Evidence("waiting", "engine-0/vllm", "CreateContainerConfigError", 'secret "hf-secret" not found'),
        "bad_argument",
        ["[Submit again"],
    ),
    "a full volume": (log("OSError: [Errno 28] No space left on device"), "disk_full", ["[Submit again"]),
    "a Task that is not there": (
        Evidence(
            "condition",
            "run",
            "CouldntGetTask",
            "Pipeline default/run can't be Run; it contains Tasks that don't exist",
        ),
        "bad_argument",
        ["[Submit again"],
    ),
    "something else": (
        Evidence("condition", "x", "Failed", "step-run exited with code 3"),
        "unknown",
        ["[Submit again"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_made_of_it(case: str) -> None:
    seen, kind, options = CASES[case]
    found = diagnose([seen], "deploy-model-2", "2", PARAMETERS)
    assert found.kind == kind
    assert found.message
    assert found.remedy
    assert len(found.options) == len(options)
    for option, beginning in zip(found.options, options, strict=True):
        assert option.text.startswith(beginning)


def test_an_engine_that_prints_its_settings_is_not_diagnosed_by_them() -> None:
    settings = "INFO non-default args: {'trust_remote_code': False, 'quantization': None, 'max_model_len': 8192}"
    assert diagnose([log(settings)], "deploy-model-2", "2", PARAMETERS).kind == "unknown"


def test_a_fix_that_changes_nothing_is_not_offered() -> None:
    alone = {"tensor_parallel_size": 1, "max_num_seqs": 1}
    pending = Evidence("pod", "engine-0", "Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    assert [one.title for one in diagnose([pending], "d", "1", alone).options] == ["Submit again as it is"]


def test_what_fixes_set_is_an_argument_of_each_engine() -> None:
    known = rules()
    of_the_pod = {"memory", "startup_probes", "image"}
    named = {name for fix in known.fixes.values() for name in fix.set} - of_the_pod
    for engine in STARTED:
        own = known.names.get(engine, {})
        assert {own.get(name, name) for name in named} <= engine_arguments(engine).keys(), engine


def test_every_rule_names_fixes_that_exist() -> None:
    known = rules()
    named = {name for rule in known.rules for name in rule.fixes} | {
        name for names in known.engine_fixes.values() for name in names
    }
    assert named <= known.fixes.keys()
    assert known.fixes.keys() <= named
