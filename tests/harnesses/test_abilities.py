"""What harnesses are told, and what they refuse to be told, without running them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from servelab.harnesses.base import harness
from servelab.harnesses.external.driver import Plan
from servelab.spec.errors import DocumentError, MeasureError
from servelab.spec.load import LoadPoint
from tests.harnesses.real import closed, job

ALL = ("guidellm", "inference-perf", "vllm-bench", "aiperf", "genai-bench")

TRACE = {"trace": {"path": "trace.csv", "format": "azure"}}
UNIFORM = {"prompt": {"distribution": "uniform", "min": 10, "max": 90}}
LOGNORMAL = {"output": {"distribution": "lognormal", "mean": 50, "stdev": 10}}
SPREAD = {"prompt": {"mean": 50, "stdev": 10, "min": 40, "max": 60}}
PREFIXES = {"prefix": {"tokens": 8, "groups": 2}}
FOR_A_TIME = LoadPoint(kind="concurrency", level=4, seconds=10)
RATE = LoadPoint(kind="poisson", level=4, requests=10)
GAMMA = LoadPoint(kind="gamma", level=4, burstiness=0.5, requests=10)
RAMP = LoadPoint(kind="poisson", level=4, start=1, requests=10)
REPLAY = LoadPoint(kind="replay", level=1)


def planned(name: str, directory, load: LoadPoint | None = None, **workload) -> Plan:
    asked = job(name, directory / "job", "http://127.0.0.1:9", "words", load or closed(), **workload)
    return harness(name, {}).plan(asked, "words")  # type: ignore[attr-defined]


def spec(directory, name: str) -> dict:
    return json.loads((directory / "job" / name).read_text())


def after(plan: Plan, option: str) -> str:
    return plan.arguments[plan.arguments.index(option) + 1]


REFUSED = [
    *((name, {"dataset": "prompts.jsonl"}, None, "data set") for name in ALL),
    *((name, TRACE, None, "trace") for name in ALL),
    *(
        (name, {"extra": {"ignore_eos": None}}, None, "leaving a request field out")
        for name in ALL
        if name != "inference-perf"
    ),
    *((name, LOGNORMAL, None, "lognormal distributed") for name in ALL),
    *((name, {}, RAMP, "a rate that changes") for name in ALL[:-1]),
    *((name, {}, REPLAY, "replay") for name in ALL),
    *((name, {"turns": 3}, None, "several turns") for name in ALL[1:]),
    ("guidellm", {}, GAMMA, "gamma"),
    ("inference-perf", {}, GAMMA, "gamma"),
    ("inference-perf", {"api": "chat"}, None, "chat"),
    ("inference-perf", {}, FOR_A_TIME, "for a time"),
    ("inference-perf", {"extra": {"temperature": 0.7}}, None, "further request fields"),
    ("vllm-bench", SPREAD, None, "normally distributed"),
    ("vllm-bench", UNIFORM, None, "uniform distributed"),
    ("vllm-bench", PREFIXES, None, "several shared prefixes"),
    ("vllm-bench", {}, FOR_A_TIME, "for a time"),
    ("aiperf", UNIFORM, None, "uniform distributed"),
    ("genai-bench", {"api": "completions"}, None, "completions"),
    ("genai-bench", {}, RATE, "Poisson"),
    ("genai-bench", {}, FOR_A_TIME, "whole minutes"),
    ("genai-bench", {"output": 1}, None, "one token"),
    ("genai-bench", PREFIXES, None, "several shared prefixes"),
    ("genai-bench", {**SPREAD, "output": UNIFORM["prompt"]}, None, "normal and uniform"),
]


@pytest.mark.parametrize(("name", "workload", "load", "said"), REFUSED)
def test_what_a_harness_cannot_be_told_is_refused(name, workload, load, said, tmp_path):
    with pytest.raises(MeasureError, match=said):
        planned(name, tmp_path, load, **workload)


DOCUMENT = (Path(__file__).parents[2] / "docs" / "harnesses.md").read_text(encoding="utf-8")
TABLE = re.search(r"## What each cannot be told[^|]*\n((?:\|.*\n)+)", DOCUMENT)
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TABLE[1].splitlines()] if TABLE else []
ASKED: dict[str, tuple[dict, LoadPoint | None]] = {
    "completions API": ({"api": "completions"}, None),
    "chat API": ({"api": "chat"}, None),
    "fixed lengths": ({}, None),
    "normal lengths": ({"prompt": {"mean": 50.5, "stdev": 10, "min": 45, "max": 55}}, None),
    "uniform lengths": (UNIFORM, None),
    "lognormal lengths": (LOGNORMAL, None),
    "answers of one token": ({"output": 1}, None),
    "one shared prefix": ({"prefix": {"tokens": 8}}, None),
    "several prefixes": (PREFIXES, None),
    "several turns": ({"turns": 2}, None),
    "data set or trace": (TRACE, None),
    "further request fields": ({"extra": {"temperature": 0.7}}, None),
    "a field left out (`null`)": ({"extra": {"ignore_eos": None}}, None),
    "a seed": ({}, None),
    "concurrency, `requests`": ({}, None),
    "concurrency for `seconds`": ({}, FOR_A_TIME),
    "as fast as possible": ({}, LoadPoint(kind="throughput", level=16, requests=64)),
    "constant rate": ({}, LoadPoint(kind="constant", level=4, requests=8)),
    "Poisson rate": ({}, RATE),
    "gamma arrivals": ({}, GAMMA),
    "ramp or replay": ({}, RAMP),
    "sweep": ({}, LoadPoint(kind="constant", level=4, requests=8)),
    "`seconds` beside `requests`": ({}, closed(seconds=90)),
    "`request_timeout`": ({}, None),
    "an API key": ({}, None),
}


@pytest.mark.parametrize("row", [row for row in ROWS[2:] if row[0] != "saturation search"], ids=lambda row: row[0])
@pytest.mark.parametrize("name", ALL)
def test_the_documented_table_is_true(row, name, tmp_path, monkeypatch):
    told = dict(zip(ROWS[0], row, strict=True))[name]
    workload, load = ASKED[row[0]]
    options = {"request_timeout": 5} if row[0] == "`request_timeout`" else {}
    if row[0] == "an API key":
        monkeypatch.setenv("SERVELAB_API_KEY", "s3cret")
    asked = job(name, tmp_path / "job", "http://127.0.0.1:9", "words", load or closed(), **workload)
    one = harness(name, options)
    if told.startswith("refused"):
        with pytest.raises(MeasureError):
            one.plan(asked, "words")  # type: ignore[attr-defined]
        return
    found = set(one.plan(asked, "words").warnings)  # type: ignore[attr-defined]
    seedless = {warning for warning in found if "no seed" in warning}
    assert bool(seedless if row[0] == "a seed" else found - seedless) == ("(warned" in told)


@pytest.mark.parametrize("name", ["inference-perf", "aiperf", "genai-bench"])
def test_a_key_is_written_to_no_file_and_no_command_line(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_API_KEY", "s3cret")
    with pytest.raises(MeasureError, match="key"):
        planned(name, tmp_path)


@pytest.mark.parametrize("name", ALL)
def test_a_name_that_looks_like_an_option_stays_a_name(name, tmp_path):
    asked = job(name, tmp_path / "job", "http://127.0.0.1:9", "--words", closed())
    plan = harness(name, {}).plan(asked, "--words")  # type: ignore[attr-defined]
    assert "--words" not in plan.arguments


def test_what_is_done_otherwise_is_warned_of(tmp_path):
    constant = LoadPoint(kind="constant", level=4, requests=10)
    assert "random times" in planned("inference-perf", tmp_path, constant).warnings[0]
    assert "stop after 5 s" in planned("vllm-bench", tmp_path, closed(seconds=5)).warnings[0]
    narrow = {"prompt": {"mean": 50, "stdev": 10, "min": 45, "max": 55}}
    for name in ("aiperf", "genai-bench"):
        assert "within 45 and 55 tokens" in " ".join(planned(name, tmp_path, **narrow).warnings)
    said = planned("genai-bench", tmp_path, closed(seconds=90)).warnings
    assert "no seed" in said[0]
    assert "2 min" in said[1]


def test_uniform_lengths_are_uniform_and_not_their_mean(tmp_path):
    planned("guidellm", tmp_path, **UNIFORM)
    data = spec(tmp_path, "guidellm-scenario.json")["spec"]["data"][0]
    assert (data["prompt_tokens_min"], data["prompt_tokens_max"], data["output_tokens"]) == (10, 90, 20)
    assert "prompt_tokens_stdev" not in data
    planned("inference-perf", tmp_path, **UNIFORM)
    lengths = spec(tmp_path, "inference-perf.json")["data"]["input_distribution"]
    assert (lengths["type"], lengths["min"], lengths["max"]) == ("uniform", 10, 90)
    assert after(planned("genai-bench", tmp_path, **UNIFORM), "--traffic-scenario") == "U(10,91)/(20,21)"


def test_genai_bench_counts_the_prefix_to_the_prompt(tmp_path):
    plan = planned("genai-bench", tmp_path, **SPREAD, prefix={"tokens": 32})
    assert after(plan, "--traffic-scenario") == "N(82,10)/(20,0)"
    assert after(plan, "--prefix-len") == "32"
    assert after(planned("genai-bench", tmp_path, prefix={"tokens": 32}), "--traffic-scenario") == "D(82,20)"


def test_further_fields_and_bursts_are_handed_on(tmp_path):
    extra = {"extra": {"temperature": 0.7}}
    assert json.loads(after(planned("vllm-bench", tmp_path, **extra), "--extra-body")) == {"temperature": 0.7}
    assert json.loads(after(planned("aiperf", tmp_path, **extra), "--extra-inputs"))["temperature"] == 0.7
    fields = after(planned("genai-bench", tmp_path, **extra), "--additional-request-params")
    assert json.loads(fields) == {"temperature": 0.7}
    planned("guidellm", tmp_path, **extra)
    backend = spec(tmp_path, "guidellm-scenario.json")["spec"]["backend"]
    assert backend["extras"] == {"body": {"temperature": 0.7}}
    assert after(planned("vllm-bench", tmp_path, GAMMA), "--burstiness") == "0.5"
    assert after(planned("aiperf", tmp_path, GAMMA), "--arrival-smoothness") == "0.5"


def test_aiperf_makes_a_prompt_for_each_request(tmp_path):
    assert after(planned("aiperf", tmp_path), "--num-dataset-entries") == "64"
    rate = LoadPoint(kind="poisson", level=10, seconds=20)
    assert int(after(planned("aiperf", tmp_path, rate), "--num-dataset-entries")) >= 240


def test_each_stream_is_warmed_up_and_none_that_is_not_used(tmp_path):
    assert after(planned("vllm-bench", tmp_path, closed(level=16, warmup=2)), "--num-warmups") == "16"
    fast = LoadPoint(kind="throughput", level=512, requests=80, warmup=2)
    assert after(planned("vllm-bench", tmp_path, fast), "--num-warmups") == "80"
    assert after(planned("vllm-bench", tmp_path, RATE.model_copy(update={"warmup": 3})), "--num-warmups") == "3"


def test_unknown_options_are_refused():
    with pytest.raises(DocumentError, match="did you mean `tokenizer`"):
        harness("guidellm", {"tokeniser": "x"})


def test_aiperf_is_given_no_list_where_a_name_is_meant(tmp_path):
    asked = job("aiperf", tmp_path / "job", "http://127.0.0.1:9/a,b", "words", closed())
    with pytest.raises(MeasureError, match="comma"):
        harness("aiperf", {}).plan(asked, "words")  # type: ignore[attr-defined]
