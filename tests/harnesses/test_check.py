"""What a harness cannot do is told before anything is started."""

from __future__ import annotations

import pytest

from servelab.harnesses.base import harness
from servelab.harnesses.external.abilities import API_KEY
from servelab.harnesses.tokenizer import local_tokenizer, tokenizer_of
from servelab.spec.errors import MeasureError
from servelab.spec.model import Model
from servelab.spec.study import Study
from tests.lab.studies import servelab, small, text

SWEEP = "{sweep: 4, requests: 10}"
SATURATION = "{saturation: {low: 1, high: 8}, requests: 80}"
TURNS = "{prompt: 8, output: 4, turns: 2}"
CHAT = "{prompt: 8, output: 4, api: chat}"


def refused(name: str, study: Study) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        harness(name, {}).check(study)
    return caught.value


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("guidellm", {"load": SATURATION}, "a saturation search"),
        ("genai-bench", {"load": SWEEP, "workload": CHAT}, "a constant request rate"),
        ("inference-perf", {"load": "{concurrency: 2, seconds: 5}"}, "for a time"),
        ("benchmark-job", {"load": SATURATION, "workload": CHAT}, "a saturation search"),
        ("benchmark-job", {}, "the completions API"),
        ("aiperf", {"workload": TURNS}, "several turns"),
        ("builtin", {"workload": TURNS}, "several turns"),
        ("nop", {}, "'maximize output_throughput' would never be known"),
    ],
)
def test_it_is_refused_with_what_cannot_be_done(name, changes, said):
    error = refused(name, small(**changes))
    assert said in error.message
    assert error.remedy


def test_a_harness_that_is_not_installed_is_told_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert "servelab harness install guidellm" in refused("guidellm", small()).remedy


def test_a_key_that_would_be_seen_is_told(monkeypatch):
    monkeypatch.setenv(API_KEY, "s3cret")
    assert "key" in refused("aiperf", small()).message


def test_what_can_be_done_is_let_through():
    assert harness("builtin", {}).check(small()) == ()
    told = harness("benchmark-job", {}).check(small(workload=CHAT))
    assert told == ("genai-bench takes no seed: its prompts are others each time",)
    assert harness("nop", {}).check(small(space="", objectives="", constraints="")) == ()


def test_a_tokenizer_is_a_directory_or_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert local_tokenizer(str(tmp_path), "h") == str(tmp_path.resolve())
    with pytest.raises(MeasureError, match="neither a directory nor in the local Hugging Face cache") as caught:
        local_tokenizer("org/name", "h")
    assert "model.tokenizer" in caught.value.remedy
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").touch()
    assert local_tokenizer("org/name", "h") == "org/name"


def test_a_directory_of_weights_holds_its_tokenizer(tmp_path):
    weights = tmp_path / "weights.gguf"
    weights.touch()
    assert tokenizer_of(Model(id="org/name")) == "org/name"
    assert tokenizer_of(Model(id="org/name", path=str(tmp_path))) == str(tmp_path)
    assert tokenizer_of(Model(id="org/name", path=str(weights))) == "org/name"
    assert tokenizer_of(Model(id="org/name", path=str(tmp_path), tokenizer="other")) == "other"


def test_the_command_line_starts_nothing(tmp_path):
    file = tmp_path / "study.yaml"
    for changes, said in (
        ({"workload": TURNS}, "several turns"),
        ({"harness": "{name: builtin, options: {procesess: 2}}"}, "did you mean `processes`"),
        ({"harness": "{name: guidelm}"}, "there is no harness called"),
    ):
        file.write_text(text(**changes))
        for command in ("validate", "plan", "run"):
            store = ("--store", str(tmp_path / "s.db")) if command == "run" else ()
            done = servelab(command, str(file), *store, check=False)
            assert done.returncode
            assert said in done.stderr
    assert not (tmp_path / "s.db").exists()
