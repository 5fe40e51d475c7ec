"""The comparison with a values file: the plan's examples with the plan's results, and the merged copy."""

from __future__ import annotations

import difflib
from datetime import date

import pytest
from hypothesis import given as any_of
from hypothesis import strategies as st
from ruamel.yaml import YAML

from servelab.request.merge import merged_values, pipeline_run
from servelab.request.name import LONGEST, experiment_id, short_model, slug, unused
from servelab.request.said import Images, Understanding
from servelab.request.settle import settle
from servelab.request.values import own_values, read_values
from servelab.spec.base import check_label
from servelab.spec.errors import DocumentError
from tests.request.given import (
    BLIS,
    DAY,
    LLAMA_7B,
    LLAMA_70B,
    blis_values,
    categories,
    facts,
    needs_blis,
    request,
    settled,
    values_files,
)

JOURNEY = "ghcr.io/myorg/vllm:journey-v1"
FILES = pytest.mark.parametrize("values", values_files())


def plain(text):
    return YAML(typ="safe", pure=True).load(text)


def merged(found, values):
    return plain(merged_values(values, found.changes, found.numbers))


def container(tree):
    return next(c for c in tree["stack"]["model"]["helmValues"]["decode"]["containers"] if c["name"] == "vllm")


@FILES
def test_example_1_a_full_match_changes_no_file(values):
    found = settled(values(), workload="chatsweep", tensor_parallelism=(2,))
    assert categories(found)["tensor_parallelism"] == "MATCH"
    assert categories(found)["workload"] == "MATCH"
    assert not found.changed
    assert merged_values(values(), found.changes, found.numbers) == values().text
    # Minimal changes have a price, which is said: the file's other treatment runs too.
    assert any("TP=4" in warning for warning in found.warnings)


@FILES
def test_example_2_only_filters_the_list(values):
    found = settled(values(), tensor_parallelism=(4,), only=True)
    change = found.changes[0]
    assert (change.category, change.old, change.new) == ("SUBSET", [2, 4], [4])
    assert change.path == "stack.treatments.tensorParallelism"
    assert merged(found, values())["stack"]["treatments"]["tensorParallelism"] == [4]
    assert not found.warnings


@FILES
def test_example_3_another_limit_overrides(values):
    found = settled(values(), max_model_len=8192)
    change = next(c for c in found.changes if c.parameter == "max_model_len")
    assert (change.category, change.old, change.new, change.path) == ("OVERRIDE", 4096, 8192, "stack.MAX_MODEL_LEN")
    assert merged(found, values())["stack"]["MAX_MODEL_LEN"] == 8192


@FILES
def test_example_4_a_custom_image_and_a_new_argument(values):
    arguments = {"--journey-tracing-sample-rate": 1.0}
    found = settled(values(), images={"main": JOURNEY}, engine_args=arguments)
    wanted = {
        "images.main": 'stack.model.helmValues.decode.containers[name="vllm"].image',
        "images.init": "stack.model.helmValues.decode.initContainers[0].image",
        "--journey-tracing-sample-rate": 'stack.model.helmValues.decode.containers[name="vllm"].args',
    }
    assert {c.parameter: c.path for c in found.changed} == wanted
    tree = merged(found, values())
    assert container(tree)["image"] == JOURNEY
    assert tree["stack"]["model"]["helmValues"]["decode"]["initContainers"][0]["image"] == JOURNEY
    assert container(tree)["args"] == ["--journey-tracing-sample-rate=1.0"]


@FILES
def test_the_flow_of_the_plan_matches_filters_and_overrides(values):
    """Section 6.1, step 4: one TP of the list is a SUBSET, since a copy is written anyway."""
    found = settled(
        values(),
        model=LLAMA_70B,
        workload="chatsweep",
        tensor_parallelism=(4,),
        images={"main": "ghcr.io/ibm/vllm-journey:v0.8.0"},
        engine_args={"--journey-tracing-sample-rate": 1.0},
    )
    assert categories(found) == {
        "tensor_parallelism": "SUBSET",
        "max_model_len": "MATCH",
        "max_num_batched_tokens": "MATCH",
        "max_num_seqs": "MATCH",
        "workload": "MATCH",
        "images.main": "OVERRIDE",
        "images.init": "OVERRIDE",
        "--journey-tracing-sample-rate": "OVERRIDE",
    }
    assert found.experiment_id == "feb04-llama70b-chatsweep-tp4"


@pytest.mark.parametrize(
    ("asked", "only", "category"),
    [
        ((), False, "MATCH"),
        ((2, 4), False, "MATCH"),
        ((4, 2), True, "MATCH"),
        ((2,), False, "MATCH"),
        ((2,), True, "SUBSET"),
        ((8,), False, "OVERRIDE"),
        ((2, 8), False, "OVERRIDE"),
    ],
)
def test_tensor_parallelism_against_the_list(asked, only, category):
    assert categories(settled(tensor_parallelism=asked, only=only))["tensor_parallelism"] == category


def test_another_workload_replaces_all_its_numbers():
    found = settled(workload="codesweep")
    assert categories(found)["workload"] == "OVERRIDE"
    profile = merged(found, own_values())["stack"]["workload"]
    assert profile["app"] == "codesweep"
    assert profile["profile"]["data"]["prefix_tokens"] == 0  # the template needs it, and the plan's codesweep has none
    assert profile["profile"]["data"]["prompt_tokens"] == 2048


def test_one_number_of_the_same_workload_is_one_change():
    found = settled(profile={"max_requests": 100})
    assert [(c.parameter, c.old, c.new, c.path) for c in found.changed] == [
        ("workload_profile.max_requests", 50, 100, "stack.workload.profile.max_requests")
    ]
    changed = merged(settled(profile={"prompt": {"stdev": 20}}), own_values())
    assert changed["stack"]["workload"]["profile"]["data"]["prompt_tokens_stdev"] == 20


def test_the_numbers_of_the_file_are_its_owners():
    text = own_values().text.replace("max_requests: 50", "max_requests: 77")
    values = read_values(text, "mine.yaml")
    assert settled(values, workload="chatsweep").numbers.max_requests == 77
    assert not settled(values, workload="chatsweep").changed


def test_several_rates_are_one_text_in_the_file():
    found = settled(profile={"rates": (1, 2.5), "rate_type": "poisson"})
    profile = merged(found, own_values())["stack"]["workload"]["profile"]
    assert (profile["rate"], profile["rate_type"]) == ("1,2.5", "poisson")


@pytest.mark.parametrize(
    ("said", "main", "init"),
    [
        ({"main": "0.8.0"}, "vllm/vllm-openai:v0.8.0", "vllm/vllm-openai:v0.8.0"),
        ({"main": "v0.8.0"}, "vllm/vllm-openai:v0.8.0", "vllm/vllm-openai:v0.8.0"),
        ({"main": "ghcr.io/myorg/vllm-custom:v1"}, "ghcr.io/myorg/vllm-custom:v1", "ghcr.io/myorg/vllm-custom:v1"),
        (
            {"main": "ghcr.io/myorg/vllm-custom:v1", "init": "default"},
            "ghcr.io/myorg/vllm-custom:v1",
            "vllm/vllm-openai:v0.11.0",
        ),
        ({}, "vllm/vllm-openai:v0.11.0", "vllm/vllm-openai:v0.11.0"),
    ],
)
def test_the_three_levels_of_images(said, main, init):
    """Section 4.1."""
    assert settled(images=said).images == Images(main=main, init=init)


def test_an_argument_of_the_file_is_replaced_in_its_place():
    text = own_values().text.replace(
        "            # The addresses",
        "            args: [--dtype, half, --enforce-eager, --seed=1]\n            # The addresses",
    )
    values = read_values(text, "mine.yaml")
    asked = {"--dtype": "bfloat16", "--seed": 1, "--enforce-eager": False, "--trust-remote-code": True}
    found = settled(values, engine_args=asked)
    assert categories(found)["--seed"] == "MATCH"
    assert container(merged(found, values))["args"] == [
        "--dtype=bfloat16",
        "--no-enforce-eager",
        "--seed=1",
        "--trust-remote-code",
    ]


@FILES
def test_only_the_lines_of_a_change_differ(values):
    """Comments, order, quotes and indentation of everything else stay."""
    found = settled(values(), max_model_len=8192, tensor_parallelism=(2, 8), images={"main": "0.12.0"})
    before, after = values().text, merged_values(values(), found.changes, found.numbers)
    lines = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    assert sorted("".join(line.split()).replace('"', "") for line in lines) == [
        "+-8",
        "+MAX_MODEL_LEN:8192",
        "+image:vllm/vllm-openai:v0.12.0",
        "+image:vllm/vllm-openai:v0.12.0",
        "--4",
        "-MAX_MODEL_LEN:4096",
        "-image:vllm/vllm-openai:v0.11.0",
        "-image:vllm/vllm-openai:v0.11.0",
    ]


@FILES
def test_another_workload_and_arguments_leave_the_comments(values):
    found = settled(values(), model=LLAMA_70B, workload="doc", tensor_parallelism=(2,), engine_args={"--seed": 1})
    text = merged_values(values(), found.changes, found.numbers)
    comments = [line for line in values().text.splitlines() if line.lstrip().startswith("#")]
    assert comments == [line for line in text.splitlines() if line.lstrip().startswith("#")]
    assert plain(text)["stack"]["model"]["helmValues"]["decode"]["containers"][0].pop("args") == ["--seed=1"]
    moved = [line for line in difflib.ndiff(values().text.splitlines(), text.splitlines()) if line[0] == "+"]
    assert len(moved) == 12 + 2  # name, load and nine lengths of the workload; the argument below its key


def test_a_layout_that_cannot_be_kept_still_says_the_same():
    text = own_values().text.replace("MAX_NUM_SEQS: 256", "MAX_NUM_SEQS:     256").replace("[pip,", "[ pip,")
    values = read_values(text, "mine.yaml")
    found = settled(values, max_model_len=2048)
    expected = plain(text)
    expected["stack"]["MAX_MODEL_LEN"] = 2048
    assert merged(found, values) == expected


@needs_blis
def test_the_original_is_never_changed(tmp_path):
    before = (BLIS / "values.yaml").read_bytes()
    found = settled(blis_values(), max_num_seqs=64)
    assert merged_values(blis_values(), found.changes, found.numbers).encode() != before
    assert (BLIS / "values.yaml").read_bytes() == before


@needs_blis
def test_the_copy_is_what_the_plan_s_own_tool_was_given():
    """golden-variants/tp-4.values.yaml: the plan's values, filtered to TP 4."""
    golden = plain((BLIS.parents[1] / "golden-variants" / "tp-4.values.yaml").read_text())
    assert merged(settled(blis_values(), tensor_parallelism=(4,), only=True), blis_values()) == golden


@needs_blis
def test_the_run_s_parameters_and_its_name(tmp_path):
    base = (BLIS / "pipelinerun.yaml").read_text()
    run = plain(pipeline_run(blis_values(), "feb04-x", LLAMA_7B, "mert", base))
    assert run["metadata"]["name"] == "feb04-x"
    assert {p["name"]: p["value"] for p in run["spec"]["params"]} == {
        "experimentId": "feb04-x",
        "model": LLAMA_7B,
        "namespace": "mert",
    }
    own = plain(pipeline_run(blis_values(), "feb04-x", LLAMA_7B, "mert"))
    assert own["spec"]["params"] == run["spec"]["params"]
    assert own["spec"]["pipelineRef"] == {"name": "blis-test"}
    assert own["spec"]["workspaces"] == run["spec"]["workspaces"]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("stack: 3", "stack is missing"),
        ("[1, 2]", "mapping"),
        ("a: b: c", "values.yaml:1"),
        (own_values().text.replace("name: vllm", "name: other"), "none with name"),
        (own_values().text.replace("MAX_NUM_SEQS: 256", "MAX_NUM_SEQS: many"), "stack.MAX_NUM_SEQS"),
        (own_values().text.replace("- 4", "- four"), "stack.treatments.tensorParallelism.1"),
    ],
)
def test_a_broken_values_file_is_told_with_its_place(broken, told):
    with pytest.raises(DocumentError, match=told):
        read_values(broken, "values.yaml")


@pytest.mark.parametrize(
    ("model", "short"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "llama70b"),
        ("meta-llama/Llama-2-7b-hf", "llama7b"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama8b"),
        ("codellama/CodeLlama-34b-Instruct-hf", "codellama34b"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral8x7b"),
        ("Qwen/Qwen2.5-Math-1.5B", "qwenmath1-5b"),
        ("microsoft/phi-4", "phi-4"),
    ],
)
def test_the_short_name_of_a_model(model, short):
    assert short_model(model) == short


def test_names_are_the_plan_s():
    assert experiment_id(DAY, LLAMA_70B, "chatsweep", (4,)) == "feb04-llama70b-chatsweep-tp4"
    assert experiment_id(DAY, LLAMA_7B, "chatsweep") == "feb04-llama7b-chatsweep"
    assert experiment_id(DAY, LLAMA_7B, "chatsweep", (2, 4)) == "feb04-llama7b-chatsweep"
    assert unused("a", ("b",)) == "a"
    assert unused("feb04-llama70b-chatsweep-tp4", ("feb04-llama70b-chatsweep-tp4",)).endswith("-tp4-v2")


@any_of(st.text(), st.text(), st.lists(st.integers(1, 9999), max_size=2), st.dates())
def test_every_made_up_name_is_a_label(model, workload, sizes, day):
    name = experiment_id(day, model, workload, sizes)
    assert check_label(name) == name
    again = unused(name, (name, f"{name}-v2"[:LONGEST]))
    assert check_label(again) == again
    assert again != name


@any_of(st.text())
def test_a_slug_is_a_label_or_nothing(text):
    found = slug(text)
    assert not found or check_label(found) == found


def test_names_with_nothing_in_them_are_dates():
    assert experiment_id(date(2026, 12, 31), "模型", "") == "dec31"


def test_an_id_that_exists_gets_an_ending():
    taken = facts(taken=("feb04-llama7b-chatsweep",))
    assert settle(Understanding(request=request()), taken).experiment_id == "feb04-llama7b-chatsweep-v2"


def test_what_the_pipeline_sets_itself_is_left_to_it():
    said = {"--otlp-traces-endpoint": "http://mine:4318"}
    found = settled(engine_args=said)
    assert found.engine_args == {}
    assert any("--otlp-traces-endpoint" in warning for warning in found.warnings)
    assert settled(engine_args=said, intent="tune").engine_args == said


def test_the_last_empty_lines_stay():
    values = read_values(own_values().text.rstrip("\n") + "\n\n", "values.yaml")
    decided = settled(values, max_num_seqs=64)
    copy = merged_values(values, decided.changes, decided.numbers)
    assert decided.changed
    assert copy.endswith(values.text.splitlines()[-2] + "\n\n")
