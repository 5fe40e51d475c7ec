"""What cannot work is told before anything starts, with a way out that works."""

from __future__ import annotations

import pytest

from servelab.catalog.workloads import presets
from servelab.request.assign import assign
from servelab.request.feasible import KEEP, doubts
from servelab.request.said import Understanding
from servelab.request.settle import settle
from tests.request.given import LLAMA_70B, facts, request

LLAMA_8B = "meta-llama/Meta-Llama-3-8B-Instruct"


def found(known=None, **fields):
    """The doubts of a request: parameter -> question."""
    known = known or facts()
    return {doubt.parameter: doubt for doubt in doubts(settle(Understanding(request=request(**fields)), known), known)}


def fixed(doubt, **fields):
    """What is still in doubt about the parameter after the proposed fix."""
    fix = next(option for option in doubt.options if option.recommended)
    asked = assign(request(**fields), doubt.parameter, fix.value)
    known = facts()
    return [d for d in doubts(settle(Understanding(request=asked), known), known) if d.parameter == doubt.parameter]


def test_four_of_the_eight_presets_are_longer_than_4096_tokens():
    long = {n for n in presets() if "max_model_len" in found(model="Qwen/Qwen2.5-7B-Instruct", workload=n)}
    assert long == {"summarization", "prefilldominant", "contentgen", "doc"}


@pytest.mark.parametrize(
    ("preset", "longest", "fix"),
    [("summarization", 9012, 9216), ("prefilldominant", 5184, 6144), ("contentgen", 4406, 5120), ("doc", 14000, 14336)],
)
def test_the_longest_request_is_told_and_the_limit_that_fits_it(preset, longest, fix):
    doubt = found(model=LLAMA_70B, tensor_parallelism=(4,), workload=preset)["max_model_len"]
    assert f"{longest} tokens" in doubt.text
    assert preset in doubt.text
    assert [option.value for option in doubt.options] == [str(fix), KEEP]
    assert not fixed(doubt, model=LLAMA_70B, tensor_parallelism=(4,), workload=preset)


def test_a_model_that_cannot_read_so_much_gets_another_fix():
    asked = {"model": LLAMA_8B, "workload": "summarization", "max_model_len": 8192}
    doubt = found(**asked)["prompt_tokens_max"]
    assert "reads 8192" in doubt.text
    assert doubt.options[0].value == "6348"  # 8192 - 820 of prefix - 1024 of output
    assert not fixed(doubt, **asked)
    hopeless = found(**asked | {"workload": "doc"})["workload"]
    assert [option.value for option in hopeless.options] == [KEEP]


def test_one_preset_has_a_mean_outside_of_its_own_bounds():
    outside = {n for n in presets() if "output_tokens_max" in found(model=LLAMA_70B, workload=n)}
    assert outside == {"train"}
    doubt = found(workload="train")["output_tokens_max"]
    assert "800" in doubt.text
    assert "500" in doubt.text
    assert not fixed(doubt, workload="train")


def test_a_mean_below_its_bounds_is_told_too():
    lengths = {"prompt": {"mean": 10, "min": 50, "max": 100}, "output": {"mean": 5}}
    assert "prompt_tokens_min" in found(workload="custom", profile=lengths)


def test_a_limit_above_what_the_model_reads():
    asked = {"model": LLAMA_8B, "max_model_len": 16384}
    doubt = found(**asked)["max_model_len"]
    assert "8192" in doubt.text
    assert not fixed(doubt, **asked)


def test_weights_against_the_accelerators_memory():
    doubt = found(model=LLAMA_70B, tensor_parallelism=(1,))["tensor_parallelism"]
    assert "141 GB" in doubt.text
    assert "do not fit" in doubt.text
    assert doubt.options[0].value == "4"
    assert not fixed(doubt, model=LLAMA_70B, tensor_parallelism=(1,))
    assert "no room" in found(model=LLAMA_70B, tensor_parallelism=(2,))["tensor_parallelism"].text
    assert "tensor_parallelism" not in found(model=LLAMA_70B, tensor_parallelism=(4,))
    assert "tensor_parallelism" not in found(model=LLAMA_70B, tensor_parallelism=(2,), accelerator="h200")
    quantized = {"--quantization": "fp8"}
    assert "tensor_parallelism" not in found(model=LLAMA_70B, tensor_parallelism=(1,), engine_args=quantized)


def test_nothing_is_invented_about_what_is_not_known():
    assert not found(model="somebody/of-whom-nothing-is-known-700B", tensor_parallelism=(1,))
    assert not found(model=LLAMA_70B, tensor_parallelism=(1,), engine="sglang", accelerator="a-new-one")


def test_heads_that_cannot_be_divided():
    doubt = found(model="Qwen/Qwen2.5-7B-Instruct", tensor_parallelism=(8,))["tensor_parallelism"]
    assert "28 attention heads" in doubt.text
    assert doubt.options[0].value == "7"
    assert not fixed(doubt, model="Qwen/Qwen2.5-7B-Instruct", tensor_parallelism=(8,))


def test_gpus_are_compared_where_somebody_counted_them():
    asked = {"tensor_parallelism": (2, 4)}
    doubt = found(facts(cluster_accelerators=2), **asked)["tensor_parallelism"]
    assert doubt.text == "only 2 GPUs are available, but TP=4 requires 4"
    assert doubt.options[0].value == "2"
    assert "tensor_parallelism" not in found(facts(cluster_accelerators=4), **asked)
    assert "tensor_parallelism" not in found(facts(local_accelerators=1), **asked)  # it runs on the cluster
    assert "tensor_parallelism" in found(facts(local_accelerators=1), platform="process", **asked)


def test_an_id_of_ones_own_that_exists_is_asked_about():
    doubt = found(facts(taken=("mine",)), experiment_id="mine")["experiment_id"]
    assert [option.value for option in doubt.options] == ["mine-v2"]


def test_what_the_catalog_knows_of_arguments_is_held_against_them():
    assert "gpu_memory_utilization" in found(engine_args={"--gpu-memory-utilization": 7})
    assert not found(engine_args={"--gpu-memory-utilization": 0.9})


def test_what_makes_no_study_cannot_be_kept():
    budget, limit = {"trials": 3}, {"metric": "ttft_p95", "max": 0.5, "at": 7}
    doubt = found(intent="tune", budget=budget, constraints=[limit], profile={"concurrency": (4,)})["study"]
    assert not doubt.options
    assert "load level 7" in doubt.text


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"engine_args": {"--max-num-seqs": "lots"}}, ["max_num_seqs"]),
        ({"engine_args": {"--max-num-seqs": True}}, ["max_num_seqs"]),
        ({"engine_args": {"--max-num-seqs": 64}, "max_num_seqs": 128}, ["max_num_seqs"]),
        ({"engine_args": {"--max-num-seqs": 64}}, []),
        ({"max_model_len": -1}, ["max_model_len"]),
        ({"tensor_parallelism": (0,)}, ["tensor_parallelism"]),
        ({"engine_args": {"--tensor-parallel-size": 2}}, []),
        ({"engine_args": {"--tensor-parallel-size": "all"}}, ["tensor_parallelism"]),
        ({"engine_args": {"--tensor-parallel-size": 2}, "tensor_parallelism": (4,)}, ["tensor_parallelism"]),
        ({"sweep": {"--tensor-parallel-size": (2, 4)}}, []),
        ({"sweep": {"--max-num-seqs": (64, 128)}}, []),
        ({"sweep": {"--max-num-seqs": (64, "many")}}, ["max_num_seqs"]),
    ],
)
def test_a_limit_is_one_positive_number(fields, asked):
    found = settle(Understanding(request=request(**fields)), facts())
    assert [question.parameter for question in found.questions] == asked
    assert not found.engine_args
    assert not doubts(found, facts())


def test_other_accelerators_than_the_values_file_s_are_told():
    asked = {"accelerator": "a100-80gb"}
    assert "NVIDIA-H100-80GB-HBM3" in found(facts(), **asked)["accelerator"].text
    assert "accelerator" not in found(facts(), accelerator="h100-80gb")
    assert "accelerator" not in found(facts(), **asked, intent="tune")


def test_a_platform_that_is_not_installed_is_told():
    assert "no platform nowhere is installed" in found(facts(), platform="nowhere", intent="tune")["platform"].text
    assert "platform" not in found(facts(), platform="process", intent="tune")


def test_a_duration_is_no_limit_of_the_pipeline():
    said = {"profile": {"rates": (20,), "rate_type": "constant", "seconds": 300}}
    doubt = found(**said)["max_requests"]
    assert "does not end after 300 s" in doubt.text
    assert doubt.options[0].value == "6000"
    assert fixed(doubt, **said) == []
    assert "max_requests" not in found(intent="tune", **said)
    levels = found(profile={"rates": (2, 4), "seconds": 300})["max_requests"]
    assert [option.value for option in levels.options] == ["keep"]
