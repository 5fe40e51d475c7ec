"""The words after a guide, and the experiments that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import yaml

from servelab.guides.convert import convert
from servelab.guides.experiment import Variation, check, declarative, legacy, variable
from servelab.guides.parse import GuideError
from servelab.guides.words import read_words
from servelab.guides.workload import Workload, workload
from tests.guides.test_fuzz import VALUES


def test_the_usage_lines_of_the_seed_work_as_written() -> None:
    asked = read_words(["with", "inference-perf", "shared_prefix_synthetic"])
    assert (asked.harness, asked.profile) == ("inference-perf", "shared_prefix_synthetic")
    asked = read_words(["varying", "decode_replicas", "from", "1", "to", "4"])
    assert asked.variations == (Variation("decode_replicas", ("1", "2", "3", "4")),)


def test_everything_at_once() -> None:
    words = "with guidellm varying max_model_len in 8000, 16000 varying rate from 1 to 2 step 0.5"
    words += " varying tp from 8 to 2 by -3"
    asked = read_words(words.split())
    assert (asked.harness, asked.profile) == ("guidellm", "")
    assert [one.levels for one in asked.variations] == [("8000", "16000"), ("1", "1.5", "2"), ("8", "5", "2")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("width guidellm", "'width' is not understood"),
        ("with", "a harness after `with` is missing"),
        ("varying", "a parameter after `varying` is missing"),
        ("varying x", "`from` or `in` after `varying x` is missing"),
        ("varying x from a to 2", "'a' is no number"),
        ("varying x from 1 2 3", "`to` is missing"),
        ("varying x from 1 to 4 step 0", "in steps of 0"),
        ("varying x from 4 to 1 step 1", "no way"),
        ("varying x from 1 to 1e9", "levels are too many"),
        ("varying x in ,", "names no values"),
        ("varying x from 1 to nan", "no number"),
    ],
)
def test_what_is_not_understood(words: str, said: str) -> None:
    with pytest.raises(GuideError) as error:
        read_words(words.split())
    assert said in error.value.message
    assert error.value.remedy


@pytest.mark.parametrize(
    ("parameter", "wanted"),
    [
        ("decode_replicas", "VLLM_MODELSERVICE_DECODE_REPLICAS"),
        ("decode.replicas", "VLLM_MODELSERVICE_DECODE_REPLICAS"),
        ("prefill.parallelism.tensor", "VLLM_MODELSERVICE_PREFILL_TENSOR_PARALLELISM"),
        ("decode_tp", "VLLM_MODELSERVICE_DECODE_TENSOR_PARALLELISM"),
        ("--max-model-len", "VLLM_COMMON_MAX_MODEL_LEN"),
        ("LLMDBENCH_VLLM_COMMON_BLOCK_SIZE", "VLLM_COMMON_BLOCK_SIZE"),
        ("gaie_plugins_configfile", "VLLM_MODELSERVICE_GAIE_PLUGINS_CONFIGFILE"),
        ("plugins", "VLLM_MODELSERVICE_GAIE_PLUGINS_CONFIGFILE"),
        ("decode.parallelism.dataLocal", "VLLM_MODELSERVICE_DECODE_DATA_LOCAL_PARALLELISM"),
        ("question_len", None),
    ],
)
def test_parameters_by_many_names(parameter: str, wanted: str | None) -> None:
    assert variable(parameter) == wanted


def test_an_unknown_parameter_is_told_with_the_nearest() -> None:
    with pytest.raises(GuideError) as error:
        check([Variation("decode_replica", ("1",))])
    assert (
        "did you mean `modelservice_decode_replicas`" in error.value.message or "decode_replicas" in error.value.message
    )


def test_one_parameter_by_two_names() -> None:
    with pytest.raises(GuideError):
        check([Variation("decode_replicas", ("1",)), Variation("decode.replicas", ("2",))])


def test_too_many_treatments() -> None:
    with pytest.raises(GuideError):
        check([Variation(name, tuple(map(str, range(30)))) for name in ("tp", "block_size", "max_model_len")])


VARIED = (
    Variation("decode_replicas", ("1", "2")),
    Variation("plugins", ("a.yaml", "b.yaml")),
    Variation("question_len", ("100", "300")),
)


def test_the_legacy_experiment() -> None:
    made = yaml.safe_load(legacy(VARIED))
    replicas, plugins = (
        "LLMDBENCH_VLLM_MODELSERVICE_DECODE_REPLICAS",
        "LLMDBENCH_VLLM_MODELSERVICE_GAIE_PLUGINS_CONFIGFILE",
    )
    assert made["setup"]["factors"] == [replicas, plugins]
    assert made["setup"]["levels"] == {replicas: "1,2", plugins: "a.yaml,b.yaml"}
    assert made["setup"]["treatments"] == ["1,a.yaml", "1,b.yaml", "2,a.yaml", "2,b.yaml"]
    assert made["run"] == {
        "factors": ["question_len"],
        "levels": {"question_len": "100,300"},
        "treatments": ["100", "300"],
    }


def test_the_declarative_experiment() -> None:
    made = yaml.safe_load(declarative("x", VARIED, Workload()))
    assert made["design"]["total_matrix"] == 8
    assert made["setup"]["treatments"][1] == {
        "name": "decode-replicas-1-plugins-b-yaml", "decode.replicas": 1, "router.epp.pluginsConfigFile": "b.yaml"
    }  # fmt: skip
    assert [one["data.shared_prefix.question_len"] for one in made["treatments"]] == [100, 300]


def test_an_experiment_where_nothing_varies(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(VALUES)
    assert len(convert(str(path)).files) == 1
    made = convert(str(path), with_experiment=True)
    assert made.files[1].path == "experiments/mine.yaml"
    assert yaml.safe_load(made.files[1].text) == {"setup": {"factors": [], "levels": {}, "treatments": []}}


def test_workloads() -> None:
    assert workload("inference-perf", "shared_prefix_synthetic").profile == "shared_prefix_synthetic.yaml"
    assert workload("nop", "").profile == "nop.yaml"
    assert "must be your own" in workload("guidellm", "mine.yaml").note
    for harness, profile in (("inference_perf", ""), ("guidellm", "../x"), ("guidellm", "$(x)")):
        with pytest.raises(GuideError):
            workload(harness, profile)


@pytest.mark.parametrize("name", ["question_len", "data.shared_prefix.question_len"])
def test_a_parameter_of_a_profile_has_its_place_in_it(name: str) -> None:
    asked = Variation(name, ("1", "2"))
    assert check([asked]) == 2
    assert (asked.factor, asked.key) == ("question_len", "data.shared_prefix.question_len")
    assert Variation("max-concurrency", ("1",)).key == "max-concurrency"


STAGE = "containers: [{name: vllm, image: 'a/b:1', args: [%s]}], parallelism: {tensor: 2}, replicas: 3"
FLAGS = "--max-model-len, '100', --block-size, '32', --gpu-memory-utilization, '0.8'"
ONE = f"modelArtifacts: {{name: a/b}}\ndecode: {{{STAGE % ''}}}\n"
ALL = f"modelArtifacts: {{name: a/b}}\ndecode: {{{STAGE % FLAGS}}}\n"
TWO = ALL + f"prefill: {{{STAGE % FLAGS}}}\n"
DECODE, PREFILL = "VLLM_MODELSERVICE_DECODE_", "VLLM_MODELSERVICE_PREFILL_"


def varied(values: str, words: str, tmp_path: Path, form: Literal["legacy", "declarative"] = "legacy") -> list[str]:
    """The factors of a guide's experiment."""
    path = tmp_path / "mine.yaml"
    path.write_text(values)
    made = convert(str(path), read_words(words.split()), form=form)
    found = yaml.safe_load(made.files[1].text)
    if form == "declarative":
        return [one["key"] for one in found["design"]["setup"]["factors"]]
    return [one.removeprefix("LLMDBENCH_") for one in found["setup"]["factors"]]


@pytest.mark.parametrize(
    ("values", "words", "factors"),
    [
        (ONE, "varying tp in 1,2", [f"{DECODE}TENSOR_PARALLELISM"]),
        (ONE, "varying replicas in 1,2", [f"{DECODE}REPLICAS"]),
        (ONE, "varying cpu in 1,2", ["VLLM_COMMON_CPU_NR"]),
        (ONE, "varying prefill_replicas in 1,2 varying prefill_tp in 1,2",
         [f"{PREFILL}REPLICAS", f"{PREFILL}TENSOR_PARALLELISM"]),
        (ONE, "varying deploy_method in modelservice,standalone varying vllm_common_tensor_parallelism in 1,2",
         ["DEPLOY_METHODS", "VLLM_COMMON_TENSOR_PARALLELISM"]),
        (ALL, "varying max_model_len in 1,2", ["VLLM_COMMON_MAX_MODEL_LEN"]),
        (ALL, "varying block_size in 1,2", ["VLLM_COMMON_BLOCK_SIZE"]),
        (ALL, "varying gpu_memory_utilization in 0.8,0.9", [f"{DECODE}ACCELERATOR_MEM_UTIL"]),
        (TWO, "varying prefill_tp in 1,2", [f"{PREFILL}TENSOR_PARALLELISM"]),
        (TWO, "varying cpu in 1,2", ["VLLM_COMMON_CPU_NR"]),
        (TWO, "varying plugins in a.yaml,b.yaml", ["VLLM_MODELSERVICE_GAIE_PLUGINS_CONFIGFILE"]),
        (ONE.replace("args: []", "args: [--data-parallel-size, $(DP_SIZE)]"), "varying decode_dp in 1,2",
         [f"{DECODE}DATA_PARALLELISM"]),
        (ONE + "multinode: true\n", "varying workers in 1,2", [f"{DECODE}NUM_WORKERS_PARALLELISM"]),
    ],
)  # fmt: skip
def test_what_varies_is_read(values: str, words: str, factors: list[str], tmp_path: Path) -> None:
    assert varied(values, words, tmp_path) == factors


@pytest.mark.parametrize(
    ("values", "words", "named"),
    [
        (ONE, "varying max_model_len in 1,2", "decode_tensor_parallelism"),
        (ONE, "varying block_size in 1,2", "decode_replicas"),
        (ONE, "varying gpu_memory_utilization in 0.8,0.9", "decode_tensor_parallelism"),
        (ONE, "varying prefill_tp in 1,2", "decode_tensor_parallelism"),
        (ONE, "varying decode_dp in 1,2", "decode_tensor_parallelism"),
        (ONE, "varying decode_workers in 1,2", "decode_tensor_parallelism"),
        (ONE, "varying LLMDBENCH_VLLM_COMMON_TENSOR_PARALLELISM in 1,2", "decode_tensor_parallelism"),
        (ALL + "prefill: {create: false}\n", "varying prefill_tp in 1,2", "max_model_len"),
        (TWO, "varying tp in 1,2", "decode_tensor_parallelism or prefill_tensor_parallelism"),
        (TWO, "varying replicas in 1,2", "decode_replicas or prefill_replicas"),
        (ONE, "varying tp in 1,2 varying decode_tp in 1,2", "Give each one once"),
        (ONE.replace("args: []", "args: [--data-parallel-size, $(DP_SIZE)], env: [{name: DP_SIZE, value: '1'}]"),
         "varying decode_dp in 1,2", "decode_tensor_parallelism"),
    ],
)  # fmt: skip
def test_what_nothing_reads_is_refused(values: str, words: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(GuideError) as error:
        varied(values, words, tmp_path)
    assert named in error.value.remedy


def test_the_place_of_what_varies_in_a_declarative_scenario(tmp_path: Path) -> None:
    assert varied(ONE, "varying tp in 1,2", tmp_path, "declarative") == ["decode.parallelism.tensor"]
    assert varied(ONE, "varying deploy_method in modelservice", tmp_path, "declarative") == ["deploy_method"]
    with pytest.raises(GuideError, match="no place"):
        varied(ALL, "varying gpu_memory_utilization in 0.8,0.9", tmp_path, "declarative")
