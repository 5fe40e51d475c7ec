"""What arithmetic says of models, accelerators and the cache between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.catalog.accelerators import accelerators
from servelab.catalog.fit import misfit, most_devices, uneven_heads
from servelab.catalog.memory import kv_bytes_per_token, kv_shards, kv_tokens, weights_gb
from servelab.catalog.models import get_model, known_models
from servelab.spec.document import parse_study

STUDY = """
name: fit
model: {{id: {model}}}
engine: {{name: {engine}, arguments: {{{arguments}}}, resources: {{accelerator: {accelerator}}}}}
workload: {{prompt: 100, output: 10}}
load: {{concurrency: 1, requests: 10}}
{more}
"""


def study(model="meta-llama/Llama-3.3-70B-Instruct", engine="vllm", arguments="", accelerator="h100-80gb", more=""):
    return parse_study(
        STUDY.format(model=model, engine=engine, arguments=arguments, accelerator=accelerator, more=more)
    )


def test_a_model_larger_than_its_accelerator_is_refused_with_the_numbers():
    said = misfit(study())
    assert said is not None
    assert "take 141 GB" in said
    assert "1 x NVIDIA H100" in said
    assert "tensor_parallel_size" in said


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": "tensor_parallel_size: 2"},
        {"arguments": "pipeline_parallel_size: 2"},
        {"engine": "sglang", "arguments": "tp_size: 4"},
        {"accelerator": "mi300x"},
        {"more": "treatments: [{tensor_parallel_size: 1}, {tensor_parallel_size: 4}]"},
        {"more": "factors: {tensor_parallel_size: [1, 2]}"},
        {"more": "space: {parameters: {tensor_parallel_size: [1, 8]}}\nobjectives: [maximize output_throughput]"},
    ],
)
def test_it_fits_when_some_configuration_has_the_room(changes):
    assert misfit(study(**changes)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": "quantization: fp8"},
        {"arguments": "cpu_offload_gb: 100"},
        {"more": "factors: {quantization: [fp8]}"},
        {"model": "somebody/unknown-70b"},
        {"accelerator": "abacus"},
        {"engine": "simulated"},
        {"engine": "mine"},
    ],
)
def test_nothing_is_said_where_too_little_is_known(changes):
    assert misfit(study(**changes)) is None


def test_a_space_that_is_too_small_everywhere_is_refused():
    more = "space: {parameters: {tensor_parallel_size: [1, 2]}}\nobjectives: [maximize output_throughput]"
    said = misfit(study(model="meta-llama/Llama-3.1-405B-Instruct", more=more))
    assert said is not None
    assert "2 x NVIDIA H100" in said


def test_memory_that_is_only_just_enough_is_left_to_the_engine():
    # 141 GB of weights on 141 "GB": the maker's GB holds a little more than 1e9 bytes, so it is not certain.
    assert misfit(study(accelerator="h200")) is None


def test_heads_must_divide():
    said = uneven_heads(study(model="Qwen/Qwen2.5-7B-Instruct", more="factors: {tensor_parallel_size: [1, 2, 4, 8]}"))
    assert said == "the 28 attention heads of Qwen/Qwen2.5-7B-Instruct cannot be divided by `tensor_parallel_size: 8`"
    assert uneven_heads(study(arguments="tensor_parallel_size: 8")) is None
    assert uneven_heads(study()) is None


def test_devices_are_tensor_times_pipeline():
    assert most_devices(study(arguments="tensor_parallel_size: 4, pipeline_parallel_size: 2")) == 8
    assert most_devices(study(engine="llamacpp")) == 1


def test_kv_heads_are_held_more_than_once_on_more_devices_than_heads():
    qwen = get_model("Qwen/Qwen2.5-7B-Instruct")  # 4 KV heads
    assert [kv_shards(qwen, n) for n in (1, 2, 4, 8)] == [1, 2, 4, 4]
    deepseek = get_model("deepseek-ai/DeepSeek-V3")  # one compressed vector, that every device holds
    assert kv_shards(deepseek, 8) == 1
    assert kv_bytes_per_token(deepseek) == 61 * 576 * 2


@pytest.mark.parametrize("name", sorted(known_models()))
def test_shapes_of_models_hold_together(name):
    model = get_model(name)
    assert model.heads % model.kv_heads == 0
    assert model.active is None or model.active < model.parameters
    # No transformer has less than what its attention projections take.
    if model.latent_kv is None:
        attention = model.layers * model.hidden * model.head_dim * (2 * model.heads + 2 * model.kv_heads)
        assert model.parameters * 1e9 > attention


@given(
    model=st.sampled_from(sorted(known_models())),
    device=st.sampled_from(sorted(accelerators())),
    devices=st.sampled_from([1, 2, 4, 8]),
    utilization=st.floats(0.5, 0.99),
    tokens=st.integers(1, 32768),
)
def test_more_room_never_holds_fewer_tokens(model, device, devices, utilization, tokens):
    known, memory = get_model(model), accelerators()[device].memory_gb
    here = kv_tokens(known, memory, devices, utilization, tokens)
    assert kv_tokens(known, memory, devices, 1.0, tokens) >= here
    assert kv_tokens(known, memory, devices, utilization, 1) >= here
    if here > 0:
        assert weights_gb(known) < memory * devices
        assert kv_tokens(known, memory, 2 * devices, utilization, tokens) > here
        assert kv_tokens(known, memory, devices, utilization, tokens, 1.0) == pytest.approx(2 * here)
