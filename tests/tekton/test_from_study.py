"""A study as an experiment of the shipped pipeline, and changed by a fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelab.cli.tekton_runs import Files
from servelab.cli.tekton_submit import load
from servelab.kube.labels import TRIAL, label
from servelab.spec.errors import DocumentError
from servelab.tekton.changes import Change
from servelab.tekton.definitions import with_shipped
from servelab.tekton.diagnosis import diagnose
from servelab.tekton.evidence import Evidence
from servelab.tekton.experiment import STUDY_FILE, VALUES, compile_experiment
from servelab.tekton.from_study import study_experiment
from servelab.tekton.revise import chosen_option, revised
from servelab.tekton.study import study_of
from servelab.tekton.treatments import explicit
from servelab.tekton.values import read_mapping

STUDY = """
name: chat
model: {id: some/model}
engine:
  name: vllm
  image: vllm/vllm-openai:v0.11.0
  arguments: {max_model_len: 8192, gpu_memory_utilization: 0.9}
  resources: {memory_gb: 64}
workload: chatsweep
load: {concurrency: [4, 8], requests: 100}
treatments:
- {tensor_parallel_size: 2, max_num_seqs: 256}
- {tensor_parallel_size: 4, enable_prefix_caching: true}
objectives: [maximize output_throughput]
"""


def test_it_compiles_with_what_it_needs() -> None:
    compiled = compile_experiment(study_experiment(STUDY, "s").renamed("chat", "bench"))
    named = {one["metadata"]["name"] for one in compiled.definitions}
    assert {"deploy-model", "helm-upgrade", "apply-overrides", "run-workload-guidellm"} <= named
    assert not {"upload-s3", "run-workload-nop"} & named  # only what the pipeline names
    assert compiled.definitions[0]["kind"] == "StepAction"
    assert compiled.needs.accelerators == 4
    specs = {one["pipelineTaskName"]: label(one, TRIAL) for one in compiled.run["spec"]["taskRunSpecs"]}
    assert specs["workload-t1"] == "t1"
    assert "download-model" not in specs
    given = {"kind": "Task", "metadata": {"name": "deploy-model"}, "spec": {"steps": []}}
    kept = [one for one in with_shipped(compiled.pipeline, [given]) if one["metadata"]["name"] == "deploy-model"]
    assert kept == [given]


def test_its_parameters_are_those_of_the_treatment() -> None:
    one = study_experiment(STUDY, "s")
    first, second = one.parameters("t0"), one.parameters("t1")
    assert (first["tensor_parallel_size"], first["max_num_seqs"], first["max_model_len"]) == (2, 256, 8192)
    assert (second["tensor_parallel_size"], second["enable_prefix_caching"]) == (4, True)
    assert first["gpu_memory_utilization"] == 0.9
    assert first["image"] == "vllm/vllm-openai:v0.11.0"
    assert "max_num_seqs" not in second
    assert study_of(one).changed == ("tensor_parallel_size", "max_num_seqs", "enable_prefix_caching")


def test_a_fix_changes_the_study_and_what_is_submitted() -> None:
    one = study_experiment(STUDY, "s")
    lost = Evidence("log", "engine/vllm", "", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", 1)
    found = diagnose([lost], "deploy-t0", "t0", one.parameters("t0"))
    assert [option.text for option in found.options] == [
        "[Increase TP] TP=2 -> 4 (doubles accelerator memory)",
        "[Reduce context] max_model_len=8192 -> 4096 (the KV cache of a request becomes half as large)",
        "[Reduce batch] max_num_seqs=256 -> 128 (half as many requests at once)",
        "[Reduce context and batch] max_model_len=8192 -> 4096, max_num_seqs=256 -> 128",
    ]
    wider, _ = revised(one, "t0", chosen_option(found, 1), {}, {"chat"})
    assert (wider.name, wider.parameters("t0")["tensor_parallel_size"]) == ("chat-v2", 4)
    assert [one["tensor_parallel_size"] for one in read_mapping(wider.study, STUDY_FILE)["treatments"]] == [4, 4]
    shorter, _ = revised(one, "t0", chosen_option(found, 4), {}, {"chat", "chat-v2"})
    assert shorter.name == "chat-v3"
    assert {shorter.parameters(trial)["max_model_len"] for trial in ("t0", "t1")} == {4096}
    overrides = [
        parameter["value"]
        for task in compile_experiment(shorter).pipeline["spec"]["tasks"]
        for parameter in task.get("params", ())
        if parameter["name"] == "overrides" and task["name"] == "deploy-t0"
    ]
    assert 'decode.containers[name="vllm"].args=--max-num-seqs=128' in overrides[0]


def test_what_a_fix_makes_alike_is_tried_once() -> None:
    halved = Change("max_num_seqs", 256, 128)
    factors = study_experiment(f"{STUDY.partition('treatments:')[0]}factors: {{max_num_seqs: [256, 128]}}\n", "s")
    changed = factors.changed([halved])
    assert list(study_of(changed).factors["max_num_seqs"]) == [128]
    assert len(explicit(read_mapping(changed.values, VALUES))) == 1
    listed = STUDY.partition("treatments:")[0] + "treatments: [{max_num_seqs: 256}, {max_num_seqs: 128}]\n"
    assert study_of(study_experiment(listed, "s").changed([halved])).treatments == ({"max_num_seqs": 128},)


def test_a_fix_for_sglang_changes_what_sglang_knows() -> None:
    engine = "engine:\n  name: sglang\n  arguments: {context_length: 8192, max_running_requests: 256}\n"
    text = f"{STUDY[: STUDY.index('engine:')]}{engine}{STUDY[STUDY.index('workload:') :]}"
    text = text.replace("tensor_parallel_size: 2, max_num_seqs: 256", "tp_size: 2")
    text = text.replace("tensor_parallel_size: 4, enable_prefix_caching", "tp_size: 4, enable_mixed_chunk")
    one = study_experiment(text, "s")
    lost = Evidence("log", "engine/vllm", "", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", 1)
    found = diagnose([lost], "deploy-t0", "t0", one.parameters("t0"), one.engine)
    assert [option.text for option in found.options] == [
        "[Increase TP] TP=2 -> 4 (doubles accelerator memory)",
        "[Reduce context] context_length=8192 -> 4096 (the KV cache of a request becomes half as large)",
        "[Reduce batch] max_running_requests=256 -> 128 (half as many requests at once)",
        "[Reduce context and batch] context_length=8192 -> 4096, max_running_requests=256 -> 128",
    ]
    wider, _ = revised(one, "t0", chosen_option(found, 1), {}, {"chat"})
    assert [one["tp_size"] for one in read_mapping(wider.study, STUDY_FILE)["treatments"]] == [4, 4]
    shorter, _ = revised(one, "t0", chosen_option(found, 4), {}, {"chat"})
    known = shorter.parameters("t0")
    assert (known["context_length"], known["max_running_requests"]) == (4096, 128)
    (deploy,) = (t for t in compile_experiment(shorter).pipeline["spec"]["tasks"] if t["name"] == "deploy-t0")
    (rules,) = (parameter["value"] for parameter in deploy["params"] if parameter["name"] == "overrides")
    assert 'decode.containers[name="vllm"].args=--context-length=4096' in rules


def test_image_and_memory_change_as_well() -> None:
    one = study_experiment(STUDY, "s")
    image = Change("image", "vllm/vllm-openai:v0.11.0", "vllm/vllm-openai:v0.12.0")
    changed = one.changed([image, Change("memory", "64G", "128G")])
    assert changed.parameters("t1")["image"] == "vllm/vllm-openai:v0.12.0"
    assert changed.parameters("t1")["memory"] == "128G"
    back = changed.changed([Change("image", "vllm/vllm-openai:v0.12.0", "vllm/vllm-openai:v0.11.0")])
    assert back.parameters("t1")["image"] == "vllm/vllm-openai:v0.11.0"


def test_an_id_that_is_too_long_for_helm_is_refused() -> None:
    long = study_experiment(STUDY, "s").renamed("x" * 45, "bench")
    with pytest.raises(DocumentError, match=r"has 45 characters; here 44 are allowed"):
        compile_experiment(long)


def test_files_without_a_template_are_for_the_shipped_pipeline(tmp_path: Path) -> None:
    """As ``servelab ask`` writes them: values that know nothing of the pipeline's own."""
    whole = study_experiment(STUDY, "s")
    values = read_mapping(whole.values, VALUES)
    stack = {**values["stack"], "treatments": {"tensorParallelism": [2]}}
    (tmp_path / "values.yaml").write_text(f"# mine\nexperiment: {{name: x}}\nstack: {_flow(stack)}\n")
    (tmp_path / "pipelinerun.yaml").write_text(whole.run)
    one = load(tmp_path, Files())
    assert "# mine" in one.values
    assert read_mapping(one.values, VALUES)["workload"] == {"harness": "guidellm"}
    assert "deploy-2" in {task["name"] for task in compile_experiment(one).pipeline["spec"]["tasks"]}
    with pytest.raises(DocumentError, match=r"has no pipeline\.yaml\.j2"):
        load(None, Files(run=tmp_path / "pipelinerun.yaml"))


def _flow(data: object) -> str:
    import json

    return json.dumps(data)


@pytest.mark.parametrize(("count", "parts"), [(150, 0), (200, 2), (500, 3)])
def test_a_run_that_outgrows_an_object_of_the_cluster_is_refused(count: int, parts: int) -> None:
    """An API server takes the Pipeline of 200 treatments, but not what Tekton makes of its run."""
    text = (
        f"{STUDY.partition('treatments:')[0]}factors: {{max_num_seqs: [{', '.join(map(str, range(1, count + 1)))}]}}\n"
    )
    many = study_experiment(text, "s")
    if not parts:
        assert len(compile_experiment(many).pipeline["spec"]["finally"]) == 2 * count
        return
    with pytest.raises(DocumentError, match="the run is too large for a cluster") as refusal:
        compile_experiment(many)
    assert f"Split the experiment into {parts} with" in refusal.value.remedy
