"""The catalog's data hold together, and are found by the names people use."""

from __future__ import annotations

import pytest

from servelab.catalog.accelerators import accelerators, find_accelerator
from servelab.catalog.check import check_study
from servelab.catalog.engines import engine_names, find_engine, get_engine
from servelab.catalog.memory import kv_bytes_per_token, kv_tokens, weights_gb
from servelab.catalog.models import find_model, get_model, known_models
from servelab.catalog.study import load_study
from servelab.catalog.workloads import get_preset, presets
from servelab.spec.errors import DocumentError, NotFoundError

# From the data-collection plan: prefix, prompt mean/stdev/min/max, output mean/stdev/min/max, requests, rate.
NUMBERS = {
    "chatsweep": (284, 70, 35, 2, 200, 215, 80, 1, 512, 50, 12),
    "codesweep": (0, 2048, 1974, 2, 3500, 28, 60, 6, 200, 50, 12),
    "train": (0, 1700, 1200, 2, 3500, 800, 500, 1, 500, 25, 12),
    "summarization": (820, 4096, 500, 100, 7168, 512, 150, 10, 1024, 40, 5),
    "prefilldominant": (1024, 2048, 500, 100, 4096, 32, 16, 1, 64, 40, 5),
    "chatbot": (256, 256, 100, 2, 800, 256, 100, 1, 1024, 40, 5),
    "contentgen": (310, 1024, 150, 10, 2048, 1024, 200, 10, 2048, 40, 5),
    "doc": (1000, 9000, 1200, 500, 11000, 1536, 300, 50, 2000, 25, 5),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_presets_have_the_plans_numbers(name):
    p = get_preset(name)
    prompt = (p.prompt.mean, p.prompt.stdev, p.prompt.min, p.prompt.max)
    output = (p.output.mean, p.output.stdev, p.output.min, p.output.max)
    assert (p.prefix, *prompt, *output, p.requests, p.rate) == NUMBERS[name]
    assert p.workload(name).longest == p.prefix + p.prompt.max + p.output.max


def test_there_are_eight_presets():
    assert set(presets()) == set(NUMBERS)


@pytest.mark.parametrize("name", engine_names())
def test_arguments_of_an_engine_hold_together(name):
    known = get_engine(name)
    assert len(known.arguments) >= 15
    for argument in known.arguments.values():
        assert argument.help.endswith(".")
        assert argument.default is None or argument.fault(argument.default) is None, argument.flag
        if argument.tune is not None:
            bounds = (
                argument.tune.choices
                if argument.tune.type == "categorical"
                else (argument.tune.low, argument.tune.high)
            )
            assert all(argument.fault(value) is None for value in bounds), argument.flag
        for relation in (*argument.requires, *argument.conflicts):
            assert relation.argument in known.arguments


def test_a_plugin_engine_is_unknown_and_fine():
    assert find_engine("mine") is None
    with pytest.raises(NotFoundError, match="did you mean `sglang`"):
        get_engine("sglan")


def test_models_are_found_by_id_alias_and_any_case():
    for short, model in known_models().items():
        assert find_model(short) is model
        assert find_model(model.id.upper()) is model
    assert find_model("nobody/knows-this") is None
    with pytest.raises(NotFoundError, match="smollm2"):
        get_model("smolm2-135m")


def test_aliases_name_one_model_each():
    names = [alias.lower() for model in known_models().values() for alias in (model.id, *model.aliases)]
    assert len(names) == len(set(names))


def test_the_embedded_model_is_described():
    embedded = get_model("smollm2-135m").embedded
    assert embedded is not None
    assert embedded.bytes == 98362432


def test_accelerators_are_found():
    assert len(accelerators()) >= 10
    found = find_accelerator("H100-80GB")
    assert found is not None
    assert found.memory_gb == 80


def test_memory_arithmetic_of_a_known_model():
    # Llama 3.1 8B: 32 layers, 8 KV heads of 128, so 128 KiB a token in bf16; 16 GB of weights.
    model = get_model("meta-llama/Llama-3.1-8B-Instruct")
    assert kv_bytes_per_token(model) == 131072
    assert weights_gb(model) == pytest.approx(16, rel=0.02)
    assert 300_000 < kv_tokens(model, 80, 1, 0.9, 8192) < 480_000
    assert kv_tokens(model, 16, 1, 0.9, 2048) < 0
    assert kv_tokens(model, 80, 2, 0.9, 8192) > 2 * kv_tokens(model, 80, 1, 0.9, 8192)


STUDY = """
name: checked
model: {id: meta-llama/Llama-3.1-8B-Instruct}
engine:
  name: vllm
  arguments:
    max_num_batched_tokens: 2048
workload: chatsweep
load: {concurrency: 4, requests: 20}
space:
  parameters:
    max_num_seqs: [8, 64]
    enable_prefix_caching: [true, false]
objectives: [maximize output_throughput]
"""


def test_names_are_expanded_and_defaults_become_the_baseline():
    study = load_study(STUDY)
    assert study.workload.prefix is not None
    assert study.workload.prefix.tokens == 284
    assert study.baseline == {"enable_prefix_caching": True}
    assert check_study(study) == []
    changed = load_study(STUDY.replace("workload: chatsweep", "workload: {preset: chatsweep, seed: 3}"))
    assert changed.workload.seed == 3


@pytest.mark.parametrize(
    ("old", "new", "line", "fault"),
    [
        ("max_num_batched_tokens: 2048", "max_num_batched_token: 2048", 7, "did you mean `max_num_batched_tokens`?"),
        ("max_num_batched_tokens: 2048", "max_num_batched_tokens: many", 7, "must be a whole number, not 'many'"),
        ("max_num_batched_tokens: 2048", "max_num_batched_tokens: 0", 7, "outside of 1 to"),
        ("max_num_batched_tokens: 2048", "kv_cache_dtype: fp9", 7, "is not one of"),
        ("max_num_batched_tokens: 2048", "enable_eplb: true", 7, "needs `enable_expert_parallel: True`"),
        ("max_num_batched_tokens: 2048", "max_model_len: 512", 8, "longest request has 996 tokens"),
        ("max_num_seqs: [8, 64]", "max_num_seqs: [0, 64]", 12, "outside of 1 to"),
        ("workload: chatsweep", "workload: chatsweeep", 8, "did you mean `chatsweep`?"),
    ],
)
def test_faults_are_told_with_their_place(old, new, line, fault):
    with pytest.raises(DocumentError) as caught:
        load_study(STUDY.replace(old, new), "s.yaml")
    (told,) = caught.value.problems
    assert told.startswith(f"s.yaml:{line}:")
    assert fault in told


def test_an_unknown_argument_without_a_likeness_is_only_strange():
    (problem,) = check_study(load_study(STUDY.replace("max_num_batched_tokens: 2048", "zzz: 1")))
    assert not problem.fatal
    assert "passed on as it is" in problem.message
