"""The plan for data collection, sections 3 to 6 and "Quick Reference": its dialogs, examples and tables, each with its
own result.

Where it contradicts itself:

- Section 6.1 takes llama-70b for Llama 3.3 at once, 6.3 takes llama-7b for Llama 2; 6.2 and 7.2 say that both must be
  asked about. So the question comes first, and the dialogs of 6.1 and 6.3 go on with the answer that they show.
- Section 5.1 names an experiment ...-chatbot; the rule, 6.1 and 6.3 take the preset's name, chatsweep.
- Tier 2 has [1] as default tensor parallelism; the values file of every other section has [2, 4], and decides.
- TP=2 of [2, 4] is a MATCH in 5.3 and TP=4 a SUBSET in 6.1 and in "only TP=4": the list is filtered when that was
  asked for, or when a merged copy of the values is written anyway.
- Its last question has [Y/n], so that an empty answer would start it; nothing starts here without a yes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.request.asking import FEBRUARY_4, Talk, answer

SHARED = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared"))
PLAN = SHARED / "seeds" / "000-blis-data-collector.md"
VALUES = SHARED / "data" / "blis" / "tektoncsample" / "blis" / "values.yaml"

pytestmark = pytest.mark.skipif(not (PLAN.is_file() and VALUES.is_file()), reason=f"no seeds and data in {SHARED}")

LLAMA_2_7B, LLAMA_2_70B = "meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-70b-hf"
LLAMA_33_70B = "meta-llama/Llama-3.3-70B-Instruct"
DEFAULT_IMAGE = "vllm/vllm-openai:v0.11.0"
CONTAINER = 'decode.containers[name="vllm"]'
CHATSWEEP = {"prompt_tokens": 70, "prompt_tokens_stdev": 35, "prompt_tokens_min": 2, "prompt_tokens_max": 200}
CHATSWEEP |= {"output_tokens": 215, "output_tokens_stdev": 80, "output_tokens_min": 1, "output_tokens_max": 512}
CHATSWEEP |= {"prefix_tokens": 284, "max_requests": 50, "rate": 12, "rate_type": "sweep"}


def ask(text: str) -> dict[str, Any]:
    """The answer to a request of the plan, with its values file, on the day of its dialogs."""
    return answer(text, values=VALUES.read_text(encoding="utf-8"), today=FEBRUARY_4)


def talk() -> Talk:
    return Talk(values=VALUES.read_text(encoding="utf-8"), today=FEBRUARY_4)


def section(title: str) -> str:
    """The text below a heading of the plan, up to the next one of its kind or above; fenced lines are no headings."""
    kept, level, fenced = [], 0, False
    for line in PLAN.read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else re.match(r"(#+) (.*)", line)
        if level and heading and len(heading[1]) <= level:
            break
        if level:
            kept.append(line)
        elif heading and heading[2] == title:
            level = len(heading[1])
    assert kept, f"the plan has no section {title!r}"
    return "\n".join(kept)


def rows(title: str) -> list[list[str]]:
    """The cells of a section's first table, without its heading."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rule = next(index for index, cells in enumerate(table) if set(cells[0]) <= set("-:"))
    return table[rule + 1 :]


def changes(found: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Parameter -> category and new value, of everything that the answer compares."""
    return {one["parameter"]: (one["category"], one["new"]) for one in found["changes"]}


def changed(found: dict[str, Any]) -> set[str]:
    """What the merged values file would hold."""
    return {one["parameter"] for one in found["changes"] if one["category"] != "MATCH"}


# ------------------------------------------------------------------------------------------ 3, parameter taxonomy


def test_tier_1_model_and_namespace_are_asked_for_and_the_id_is_made() -> None:
    assert set(ask("run the chatsweep workload")["missing"]) == {"model", "namespace"}
    found = ask("run chatbot with llama-3.3-70b, TP=4, namespace mert")
    assert (found["namespace"], found["experiment_id"]) == ("mert", "feb04-llama70b-chatsweep-tp4")


def test_tier_1_an_id_of_ones_own_is_kept() -> None:
    found = ask("llama2-7b chatbot in namespace benchmark, experiment id feb04-llama70b-chatbot")
    assert (found["namespace"], found["experiment_id"]) == ("benchmark", "feb04-llama70b-chatbot")


def test_tier_2_defaults() -> None:
    found = ask("llama2-7b chatbot in namespace mert")
    table = {cells[0].strip("`"): (cells[2].strip("`"), cells[3].strip("`")) for cells in tier(2)}
    for name in ("MAX_MODEL_LEN", "MAX_NUM_BATCHED_TOKENS", "MAX_NUM_SEQS"):
        assert found[name.lower()] == int(table[name][1]), name
    assert found["tensor_parallelism"] == [2, 4]


def test_tier_2_flags() -> None:
    for name, flag in (("MAX_MODEL_LEN", 8192), ("MAX_NUM_BATCHED_TOKENS", 1024), ("MAX_NUM_SEQS", 64)):
        option = next(cells[2].strip("`") for cells in tier(2) if cells[0].strip("`") == name)
        found = ask(f"llama2-7b {option} {flag} in namespace mert")
        assert found[name.lower()] == flag
        assert changed(found) == {name.lower()}
        assert next(one["path"] for one in found["changes"] if one["parameter"] == name.lower()) == f"stack.{name}"


def test_tier_3_default_images() -> None:
    for name, image in zip(("main", "init"), tier(3), strict=True):
        assert ask("llama2-7b in namespace mert")["images"][name] == image[2].strip("`") == DEFAULT_IMAGE


def test_tier_4_arguments_reach_the_engine_as_they_are_written() -> None:
    for cells in tier(4):
        written = cells[0].strip("`")
        flag, _, value = written.partition(" ")
        image = " image ghcr.io/myorg/vllm:v1" if "Custom" in cells[2] else ""
        found = ask(f"llama2-7b in namespace mert{image} {written}")
        expected = number(value) if value else True
        assert found["engine_args"] == {flag: expected}, written
        assert (found["missing"], found["ambiguous"]) == ([], []), written


def test_tier_5_every_preset_is_known_by_its_name() -> None:
    for preset in re.findall(r"`(\w+)`", tier(5)[0][2]):
        assert ask(f"run {preset} preset with llama2-7b")["workload"] == preset


def test_tier_5_defaults_of_a_custom_workload() -> None:
    lines = section("Tier 5: Workload Configuration").split("**Custom Workload Parameters:**")[1].splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    found = ask("run llama2-7b with custom workload: prompt_tokens=500, output_tokens=200")["workload_profile"]
    meant = {"Required": None, "prompt_tokens * 2": 1000, "output_tokens * 2": 400}
    for name, _, default in cells:
        given = {"prompt_tokens": 500, "output_tokens": 200}.get(name.strip("`"))
        expected = given or meant.get(default, number(default.strip('"')))
        assert found[name.strip("`")] == expected, name
    assert len(cells) == 12


def test_tier_5_custom_workload_in_the_plans_words() -> None:
    found = ask("run with custom workload: prompt_tokens=500, output_tokens=200, max_requests=100")
    profile = found["workload_profile"]
    assert found["workload"] == "custom"
    assert (profile["prompt_tokens"], profile["output_tokens"], profile["max_requests"]) == (500, 200, 100)


def test_tier_5_dialog_of_a_custom_workload() -> None:
    conversation = talk()
    conversation.say("/blis-data-collector llama2-7b with custom workload prompt=500 output=100, namespace mert")
    shown = conversation.answer()
    expected = {"rate_type": "sweep", "max_requests": 50, "rate": 12, "prefix_tokens": 0}
    expected |= {"prompt_tokens": 500, "prompt_tokens_stdev": 0, "prompt_tokens_min": 1, "prompt_tokens_max": 1000}
    expected |= {"output_tokens": 100, "output_tokens_stdev": 0, "output_tokens_min": 1, "output_tokens_max": 200}
    assert {name: shown["workload_profile"][name] for name in expected} == expected
    conversation.say("stdev prompt=100 output=50")
    varied = conversation.answer()["workload_profile"]
    assert {**expected, "prompt_tokens_stdev": 100, "output_tokens_stdev": 50}.items() <= varied.items()


# ------------------------------------------------------------------------------------------ 4, images and arguments


@pytest.mark.parametrize(
    ("words", "main", "init"),
    [
        ("use vLLM version 0.8.0", "vllm/vllm-openai:v0.8.0", "vllm/vllm-openai:v0.8.0"),
        ("use custom image ghcr.io/myorg/vllm-custom:journey-v1", *["ghcr.io/myorg/vllm-custom:journey-v1"] * 2),
        (
            "use ghcr.io/myorg/vllm-custom:v1 for main container and keep default for init",
            "ghcr.io/myorg/vllm-custom:v1",
            DEFAULT_IMAGE,
        ),
    ],
)
def test_4_1_three_levels_of_images(words: str, main: str, init: str) -> None:
    assert ask(f"llama2-7b in namespace mert, {words}")["images"] == {"main": main, "init": init}


# ------------------------------------------------------------------------------------------ 5, matching


def test_5_1_a_request_that_the_values_file_holds_already() -> None:
    found = ask("llama2-7b with TP=2 for chatbot workload, namespace mert")
    assert changes(found)["tensor_parallelism"][0] == "MATCH"
    assert changes(found)["workload"] == ("MATCH", "chatsweep")
    assert changes(found)["images.main"] == ("MATCH", DEFAULT_IMAGE)
    assert (found["engine_args"], changed(found)) == ({}, set())
    assert (found["model"], found["namespace"]) == (LLAMA_2_7B, "mert")
    assert found["experiment_id"] == "feb04-llama7b-chatsweep-tp2"


def test_5_1_its_ambiguous_model_is_asked_about() -> None:
    found = ask("llama-7b with TP=2 for chatbot workload")
    assert [one["parameter"] for one in found["ambiguous"]] == ["model"]


def test_5_3_example_1_full_match() -> None:
    found = ask("run chatsweep workload with TP=2")
    assert changes(found)["tensor_parallelism"][0] == "MATCH"
    assert changes(found)["workload"] == ("MATCH", "chatsweep")
    assert changed(found) == set()


def test_5_3_example_2_subset() -> None:
    found = ask("run with only TP=4")
    assert changes(found)["tensor_parallelism"] == ("SUBSET", [4])
    assert changed(found) == {"tensor_parallelism"}


def test_5_3_example_3_override() -> None:
    found = ask("use max-model-len 8192")
    change = next(one for one in found["changes"] if one["parameter"] == "max_model_len")
    assert (change["category"], change["old"], change["new"]) == ("OVERRIDE", 4096, 8192)
    assert change["path"] == "stack.MAX_MODEL_LEN"
    assert changed(found) == {"max_model_len"}


def test_5_3_example_4_custom_image() -> None:
    image = "ghcr.io/myorg/vllm:journey-v1"
    found = ask(f"use custom vLLM image {image} with --journey-tracing-sample-rate 1.0")
    assert changes(found)["images.main"] == changes(found)["images.init"] == ("OVERRIDE", image)
    assert changes(found)["--journey-tracing-sample-rate"] == ("OVERRIDE", 1.0)
    assert changed(found) == {"images.main", "images.init", "--journey-tracing-sample-rate"}
    paths = {one["parameter"]: one["path"] for one in found["changes"]}
    assert paths["images.main"].endswith(f"{CONTAINER}.image")
    assert paths["images.init"].endswith("decode.initContainers[0].image")
    assert paths["--journey-tracing-sample-rate"].endswith(f"{CONTAINER}.args")


def test_5_4_words_for_presets() -> None:
    table = rows("5.4 Workload Preset Mapping")
    assert len(table) == 7
    for words, preset, _ in table:
        for word in re.findall(r'"([^"]+)"', words):
            for sentence in (f"run {word} with llama2-7b", f"llama2-7b, {word} workload, TP=2", f"llama2-7b {word}"):
                assert ask(sentence)["workload"] == preset.strip("`"), sentence


# ------------------------------------------------------------------------------------------ 6, dialogs

REQUEST_6_1 = (
    "/blis-data-collector I want to run a chatbot benchmark using llama-70b with TP=4, and I need to use a custom "
    "vLLM image with journey tracing enabled"
)
DETAILS_6_1 = (
    "Use image ghcr.io/ibm/vllm-journey:v0.8.0, namespace is mert, auto-generate the ID. Also add "
    "--journey-tracing-sample-rate 1.0 to vLLM args"
)


def test_6_1_what_the_first_sentence_says() -> None:
    found = ask(REQUEST_6_1)
    assert (found["intent"], found["workload"], found["tensor_parallelism"]) == ("collect", "chatsweep", [4])
    assert [one["parameter"] for one in found["ambiguous"]] == ["model"]
    assert {one.split(".")[0] for one in found["missing"]} == {"images", "namespace"}


def test_6_1_the_whole_dialog() -> None:
    conversation = talk()
    conversation.say(REQUEST_6_1)
    conversation.say("2")  # see the head of this file
    said = conversation.text()
    assert LLAMA_33_70B in said
    assert "140" in said, "the size of the download"
    assert re.search(r"30\D{1,3}60 min", said), "how long the download takes"
    conversation.say(DETAILS_6_1)
    image = "ghcr.io/ibm/vllm-journey:v0.8.0"
    found = conversation.answer()
    compared = changes(found)
    assert (found["missing"], found["ambiguous"]) == ([], [])
    for name, value in (("max_model_len", 4096), ("max_num_batched_tokens", 2048), ("max_num_seqs", 256)):
        assert compared[name] == ("MATCH", value)
    assert compared["workload"] == ("MATCH", "chatsweep")
    assert compared["tensor_parallelism"] == ("SUBSET", [4])
    assert compared["images.main"] == compared["images.init"] == ("OVERRIDE", image)
    assert compared["--journey-tracing-sample-rate"] == ("OVERRIDE", 1.0)
    assert "Journey tracing mentioned" in said
    assert "nothing is traced" not in conversation.last(), "the rate was given"
    assert_verification(conversation.last(), image)
    conversation.say("Looks good, but also add --trust-remote-code")
    assert_final_box(conversation.last(), image)
    assert conversation.answer()["engine_args"] == {"--journey-tracing-sample-rate": 1.0, "--trust-remote-code": True}
    assert not conversation.confirmed
    conversation.say("Y")
    assert conversation.confirmed


def assert_verification(text: str, image: str) -> None:
    """Step 5: the container with the origin of each argument, environment and resources."""
    for line in (
        rf"main.*{re.escape(image)}",
        rf"init.*{re.escape(image)}",
        r"--max-model-len\W+4096.*values",
        r"--max-num-batched-tokens\W+2048.*values",
        r"--max-num-seqs\W+256.*values",
        r"--otlp-traces-endpoint.*auto",
        r"--journey-tracing-sample-rate\W+1\.0.*(request|new)",
        r"OTEL_",
        r"PYTHONPATH.*/deps",
        r"128Gi",
        r"CPU.*32",
        r"GPU.*4|accelerators.*4",
        r"(?i)modify",
    ):
        assert re.search(line, text, re.IGNORECASE), f"{line!r} is not in\n{text}"


def assert_final_box(text: str, image: str) -> None:
    """Step 7: everything that will run, and what changes."""
    for line in (
        r"Experiment ID\W+feb04-llama70b-chatsweep-tp4",
        r"Namespace\W+mert",
        rf"Model\W+{re.escape(LLAMA_33_70B)}",
        r"chatsweep",
        r"Max requests\W+50",
        r"Rate\W+12 \(sweep\)",
        r"Prompt tokens\W+70 .*35.*2\W+200",
        r"Output tokens\W+215 .*80.*1\W+512",
        r"Prefix tokens\W+284",
        rf"Image\W+{re.escape(image)}",
        r"Tensor parallel\w*\W+4",
        r"Max model len\w*\W+4096",
        r"Max (num )?batch(ed)? tokens\W+2048",
        r"Max num seqs\W+256",
        r"--journey-tracing-sample-rate\W+1\.0",
        r"--trust-remote-code",
        r"\[2, 4\] → \[4\]|2, 4 → 4",
    ):
        assert re.search(line, text, re.IGNORECASE), f"{line!r} is not in\n{text}"


@pytest.mark.parametrize("reply", ["2", "[2]", LLAMA_33_70B, "llama-3.3-70b"])
def test_6_2_disambiguation(reply: str) -> None:
    conversation = talk()
    conversation.say("/blis-data-collector run chatbot benchmark with llama-70b")
    text = conversation.last()
    assert "llama-70b" in text
    options = conversation.options()
    assert [option.value for option in options] == [LLAMA_2_70B, LLAMA_33_70B]
    assert [option.recommended for option in options] == [False, True]
    older, newer = (" ".join((option.label, *option.notes)) for option in options)
    for notes, context in ((older, "4K"), (newer, "128K")):
        assert context.lower() in notes.lower().replace("4,096", "4k").replace("131,072", "128k")
        assert "140" in notes
        assert re.search(r"30\D{1,3}60 min", notes)
        assert re.search(r"4\D{1,4}8", notes), "recommended TP"
    conversation.say(reply)
    assert conversation.answer()["model"] == LLAMA_33_70B


def test_6_2_explicit_names_are_not_asked_about() -> None:
    for name, model in (("llama2-70b", LLAMA_2_70B), ("llama-3.3-70b", LLAMA_33_70B), ("llama3-70b", None)):
        found = ask(f"run chatbot benchmark with {name}")
        assert found["ambiguous"] == []
        assert found["model"] == model if model else re.search("Llama-3.*70B", found["model"])


def test_6_3_abbreviated_flow() -> None:
    conversation = talk()
    conversation.say("/blis-data-collector run chatsweep with llama-7b in namespace mert")
    conversation.say("1")  # see the head of this file
    text = conversation.last()
    assert "feb04-llama7b-chatsweep" in text
    assert "feb04-llama7b-chatsweep-tp" not in text
    for part in (LLAMA_2_7B, "mert", "chatsweep", DEFAULT_IMAGE):
        assert part in text
    assert re.search(r"2, 4", text)
    assert changed(conversation.answer()) == set()
    assert "CPU" not in text, "nothing differs, so there is nothing of the engine to verify"
    conversation.say("Y")
    assert conversation.confirmed


def test_an_empty_answer_is_no_yes() -> None:
    conversation = talk()
    conversation.say("run chatsweep with llama2-7b in namespace mert")
    conversation.say("")
    assert not conversation.confirmed


def test_nothing_starts_after_a_no() -> None:
    conversation = talk()
    conversation.say("run chatsweep with llama2-7b in namespace mert")
    conversation.say("n")
    assert not conversation.confirmed


# ------------------------------------------------------------------------------------------ quick reference


def test_reference_full_specification() -> None:
    found = ask("/blis-data-collector run llama-70b chatbot workload with TP=4 in namespace mert")
    assert (found["workload"], found["tensor_parallelism"], found["namespace"]) == ("chatsweep", [4], "mert")
    assert ([one["parameter"] for one in found["ambiguous"]], found["missing"]) == (["model"], [])


def test_reference_minimal_prompts_for_the_rest() -> None:
    found = ask("/blis-data-collector llama-7b chatbot")
    assert (found["workload"], found["missing"]) == ("chatsweep", ["namespace"])
    assert [one["parameter"] for one in found["ambiguous"]] == ["model"]


def test_reference_custom_vllm() -> None:
    found = ask(
        "/blis-data-collector llama-7b with custom image ghcr.io/myorg/vllm:v1 and --journey-tracing-sample-rate 1.0"
    )
    assert found["images"] == {"main": "ghcr.io/myorg/vllm:v1", "init": "ghcr.io/myorg/vllm:v1"}
    assert found["engine_args"] == {"--journey-tracing-sample-rate": 1.0}


def test_reference_vllm_args() -> None:
    found = ask("/blis-data-collector llama-7b --trust-remote-code --enable-prefix-caching")
    assert found["engine_args"] == {"--trust-remote-code": True, "--enable-prefix-caching": True}


def test_reference_presets_and_their_lengths() -> None:
    table = rows("Available Workload Presets")
    assert len(table) == 8
    for preset, _, prompt, output in table:
        name = preset.strip("`")
        profile = ask(f"llama2-7b {name}" if name != "chatbot" else "llama2-7b, the chatbot preset")["workload_profile"]
        lengths = [int(re.findall(r"\((\d+)\)", cell)[0]) for cell in (prompt, output)]
        assert [profile["prompt_tokens"], profile["output_tokens"]] == lengths, name


def test_reference_common_arguments() -> None:
    table = rows("Common vLLM Arguments")
    assert len(table) == 7
    for argument, purpose in table:
        flag, _, value = argument.strip("`").partition(" ")
        image = " with image ghcr.io/myorg/vllm:v1" if "custom image" in purpose else ""
        found = ask(f"llama2-7b chat{image} {argument.strip('`')}")
        assert found["engine_args"] == {flag: number(value) if value else True}


def tier(level: int) -> list[list[str]]:
    title = re.search(rf"^### (Tier {level}: .*)$", PLAN.read_text(encoding="utf-8"), re.MULTILINE)
    assert title is not None
    return rows(title[1])


def number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
