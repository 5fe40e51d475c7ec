"""What a search is about: arguments that are named after the word for it, each over its usual range."""

from __future__ import annotations

import pytest

from servelab.catalog.engines import engine_arguments
from tests.request.asking import Talk, answer

ALL = [
    *("gpu_memory_utilization", "kv_cache_dtype", "enable_prefix_caching", "max_num_seqs", "max_num_batched_tokens"),
    *("async_scheduling", "enforce_eager"),
]


@pytest.mark.parametrize(
    ("said", "searched"),
    [
        ("tune mistral-7b", ALL),
        ("tune max-num-seqs and kv cache dtype for mistral-7b", ["kv_cache_dtype", "max_num_seqs"]),
        (
            "tune max-num-seqs, enforce-eager, and kv-cache-dtype of mistral-7b",
            ["kv_cache_dtype", "max_num_seqs", "enforce_eager"],
        ),
        ("optimize the memory utilization of mistral-7b", ["gpu_memory_utilization"]),
        ("mistral-7b: search over max-num-seqs, enforce-eager", ["max_num_seqs", "enforce_eager"]),
        ("tune eager mode and prefix caching of mistral-7b", ["enable_prefix_caching", "enforce_eager"]),
        ("tune max-num-seqs from 8 to 64 for mistral-7b", ["max_num_seqs"]),
        (
            "tune gpu memory utilization and max-num-seqs 64, 128 for mistral-7b",
            ["gpu_memory_utilization", "max_num_seqs"],
        ),
        ("tune the kv cache dtype with max-num-seqs 64 for mistral-7b", ["kv_cache_dtype"]),
        ("tune threads and batch size of llama.cpp with smollm2-135m", ["threads", "batch_size"]),
    ],
)
def test_a_search_is_about_what_was_named(said: str, searched: list[str]) -> None:
    study = answer(said)["study"]
    assert list(study["space"]["parameters"]) == searched
    assert not set(searched) & set(study["engine"].get("arguments", {}))


def test_what_has_values_has_these_and_what_has_none_its_usual_range() -> None:
    found = answer("tune gpu memory utilization and max-num-seqs 64, 128 for mistral-7b")["study"]["space"][
        "parameters"
    ]
    usual = engine_arguments("vllm")["gpu_memory_utilization"].tune
    assert usual is not None
    assert found["gpu_memory_utilization"] == usual.model_dump(mode="json", exclude_defaults=True)
    assert found["max_num_seqs"] == {"choices": [64, 128]}


def test_what_has_no_usual_range_is_told() -> None:
    said = answer("tune max-num-seqs and block-size for mistral-7b")
    assert list(said["study"]["space"]["parameters"]) == ["max_num_seqs"]
    assert any("--block-size has no usual range" in warning for warning in said["warnings"])


def test_another_engine_has_other_arguments() -> None:
    talk = Talk()
    talk.say("tune kv cache dtype and enforce-eager for mistral-7b")
    assert list(talk.answer()["study"]["space"]["parameters"]) == ["kv_cache_dtype", "enforce_eager"]
    talk.say("use sglang instead")
    assert list(talk.answer()["study"]["space"]["parameters"]) == ["kv_cache_dtype"]
    talk.say("tune chunked-prefill-size instead")
    assert list(talk.answer()["study"]["space"]["parameters"]) == ["chunked_prefill_size"]


def test_what_has_no_usual_range_and_no_values_is_asked_for() -> None:
    talk = Talk()
    talk.say("tune block-size for mistral-7b")
    assert "Say them with the name: block-size VALUE, VALUE" in talk.last()
    talk.say("block-size 16 and 32")
    assert talk.answer()["study"]["space"]["parameters"] == {"block_size": {"choices": [16, 32]}}
