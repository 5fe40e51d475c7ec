"""What a check of a study tells, and what it lets pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.catalog.check import check_study
from servelab.catalog.engines import SIMULATION, get_engine
from servelab.catalog.nearest import mistyped
from servelab.catalog.study import load_study
from servelab.engines.simulated.options import parser
from servelab.spec.errors import DocumentError

STUDY = """
name: checked
model: {{id: {model}}}
engine: {{name: {engine}, arguments: {{{arguments}}}, resources: {{accelerator: h100-80gb}}}}
workload: chatsweep
load: {{concurrency: 4, requests: 20}}
{more}
"""
EIGHT = "meta-llama/Llama-3.1-8B-Instruct"


def load(engine="vllm", arguments="", model=EIGHT, more=""):
    return load_study(STUDY.format(engine=engine, arguments=arguments, model=model, more=more), "s.yaml")


@pytest.mark.parametrize("name", SIMULATION)
def test_what_only_the_simulated_engine_takes_is_no_fault_there(name):
    assert f"--{name.replace('_', '-')}" in parser().format_help()
    assert check_study(load("simulated", f"{name}: 1")) == []
    assert [p.fatal for p in check_study(load("vllm", f"{name}: 1"))] == [False]


@pytest.mark.parametrize(
    "name",
    # Arguments of vLLM 0.32 that the catalog does not hold, some of them much like ones that it does.
    [
        "enable_log_requests",
        "enable_auto_tool_choice",
        "max_num_active_seqs",
        "max_num_queued_tokens",
        "performance_mode",
        "tool_call_parser",
        "enable_lora",
        "max_loras",
        "spec_tokens",
    ],
)
def test_a_real_argument_that_the_catalog_lacks_is_passed_on(name):
    (problem,) = check_study(load(arguments=f"{name}: 1"))
    assert not problem.fatal


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("max_num_seq", "max_num_seqs"),
        ("max_nun_seqs", "max_num_seqs"),
        ("gpu_memory_utilisation", "gpu_memory_utilization"),
        ("enforce_eagre", "enforce_eager"),
        ("tensor_paralel_size", "tensor_parallel_size"),
    ],
)
def test_a_slip_is_refused_with_the_name_that_was_meant(written, meant):
    with pytest.raises(DocumentError, match=f"did you mean `{meant}`"):
        load(arguments=f"{written}: 1")


@given(data=st.data())
def test_one_wrong_letter_is_always_found(data):
    known = list(get_engine("vllm").arguments)
    name = data.draw(st.sampled_from([n for n in known if len(n) >= 8]))
    at = data.draw(st.integers(0, len(name) - 1))
    assert mistyped(name[:at] + name[at + 1 :], known) is not None


def test_a_length_that_the_engine_chooses_bounds_nothing():
    assert check_study(load(arguments="max_model_len: -1")) == []


@pytest.mark.parametrize(
    "more",
    [
        "treatments: [{cache_type_v: f16}, {cache_type_v: q8_0, flash_attn: 'off'}]",
        "factors: {cache_type_v: [f16, q8_0], flash_attn: ['on', 'off']}",
    ],
)
def test_each_treatment_must_keep_the_requirements(more):
    with pytest.raises(DocumentError, match="needs `flash_attn: on or auto`") as caught:
        load("llamacpp", model="smollm2-135m", more=more)
    assert len(caught.value.problems) == 1


def test_a_treatment_against_a_fixed_argument_is_found():
    with pytest.raises(DocumentError, match="needs `flash_attn"):
        load("llamacpp", "flash_attn: 'off'", "smollm2-135m", "factors: {cache_type_v: [f16, q8_0]}")


def test_a_model_that_does_not_fit_is_refused():
    with pytest.raises(DocumentError, match="use more or larger accelerators") as caught:
        load(model="meta-llama/Llama-3.3-70B-Instruct")
    assert caught.value.problems[0].startswith("s.yaml:4:")
    assert load(model="meta-llama/Llama-3.3-70B-Instruct", arguments="tensor_parallel_size: 2")
