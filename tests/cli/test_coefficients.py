"""Coefficients on the command line: shown with their model's name, and written as others read them."""

from __future__ import annotations

import json

import pytest
from ruamel.yaml import YAML

from tests.lab.studies import servelab

PAIR = ("--two-point", "--itl-sync", "7.0", "--itl-throughput", "8.7", "--batch-size", "64")
PREFILL = ("--ttft-sync", "15", "--ttft-throughput", "26", "--input-tokens", "128")


@pytest.fixture
def file(home, tmp_path):
    path = tmp_path / "parameters.json"
    servelab("estimate", *PAIR, *PREFILL, "-o", str(path))
    return str(path)


def test_no_letter_stands_without_its_model(file):
    said = servelab("coefficients", file).stdout
    for line in ("linear-batch: ITL = alpha + beta * batch", "linear-prefill: TTFT = gamma + delta"):
        assert line in said
    assert json.loads(servelab("coefficients", file, "--json").stdout)["fits"][1]["model"] == "linear-prefill"


def test_the_autoscalers_forms(file):
    words = ("--model", "meta-llama/Llama-3.1-8B", "-n", "prod")
    old = servelab("coefficients", file, "--as", "perf-parms", *words, "--accelerator", "A100").stdout
    assert old.startswith("# Read by the Workload Variant Autoscaler up to 2026-01")
    made = YAML(typ="safe").load(old)
    assert made["metadata"] == {"name": "llama-3-1-8b", "namespace": "prod"}
    assert made["spec"]["modelProfile"]["accelerators"][0]["acc"] == "A100"

    new = servelab("coefficients", file, "--as", "config-map", *words, "--slo", "ttft=500ms", "--slo", "itl=0.05s")
    entry = YAML(typ="safe").load(YAML(typ="safe").load(new.stdout)["data"]["llama-3-1-8b"])
    assert (entry["targetTTFT"], entry["targetITL"], entry["namespace"]) == (500.0, 50.0, "prod")

    scaler = YAML(typ="safe").load(
        servelab("coefficients", file, "--as", "scaled-object", *words, "--cost", "40").stdout
    )
    assert scaler["kind"] == "ScaledObject"
    assert scaler["metadata"]["annotations"]["llm-d.ai/variant-cost"] == "40.0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--as", "hpa"), "does not say which model"),
        (("--as", "config-map", "--model", "m", "--slo", "ttft=soon"), "'ttft=soon' is no target"),
        (("--as", "config-map", "--model", "m", "--slo", "ttft=1s"), "both targets or none"),
        (("--as", "config-map", "--model", "m", "--slo-multiplier", "1"), "has to be above 1"),
        (("--as", "perf-parms", "--model", "m", "--slo-class", "premium"), "no service class"),
        (("--as", "hpa", "--model", "m", "--cost", "-3"), "cost of a replica is -3"),
        (("--as", "perf-parms", "--model", "m", "--max-batch-size", "-3"), "have to be at least 1"),
        (("--as", "hpa", "--model", "///"), "no name of a Kubernetes object"),
    ],
)
def test_what_makes_no_sense_is_said(file, words, said):
    done = servelab("coefficients", file, *words, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_file_that_is_not_there(home):
    done = servelab("coefficients", "no.json", check=False)
    assert done.returncode == 3
    assert "servelab estimate" in done.stderr
