"""Seed 002, "LLM Parameter Estimation Pipeline": each test cites the section that it covers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from servelab.lab.estimation import EstimateRequest, estimation_study
from servelab.perf.models import Lengths
from servelab.perf.pair import Pair, estimate_pair, read_pair
from servelab.perf.parameters import read_parameters
from servelab.perf.two_point import ReportError, two_points
from servelab.spec.errors import DocumentError
from servelab.tekton.estimate import RUN, render_estimation

RECORDED = Path(__file__).parents[1] / "harnesses" / "recorded"
SYNCHRONOUS, THROUGHPUT = (RECORDED / f"guidellm-0.3-{kind}.json" for kind in ("synchronous", "throughput"))


def servelab(*words, code=0):
    command = [sys.executable, "-m", "servelab", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def report(itl=8.7, ok=40, failed=0, in_flight=64.0, **changes):
    metrics = {
        "inter_token_latency_ms": {"successful": {"mean": itl, "count": ok}},
        "request_concurrency": {"successful": {"mean": in_flight}},
        "request_totals": {"successful": ok, "errored": failed},
    }
    return {"benchmarks": [{"metrics": metrics | changes}]}


def reports(tmp_path, alone, loaded):
    files = tmp_path / "synchronous.json", tmp_path / "throughput.json"
    for file, data in zip(files, (alone, loaded), strict=True):
        file.write_text(json.dumps(data))
    return files


# "Formula"


def test_formula_two_equations():
    """ITL_synchronous = alpha + beta, ITL_throughput = alpha + beta x batch_size."""
    alpha, beta = two_points(7.0, 8.7, 64)
    assert beta == (8.7 - 7.0) / 63
    assert alpha == 7.0 - beta
    assert alpha + 64 * beta == pytest.approx(8.7)


def test_formula_is_that_of_the_linear_model():
    """ITL = alpha + beta x batch_size, in seconds here."""
    model = estimate_pair(Pair(7.0, 8.7)).decode_model
    assert model.itl(64, Lengths(1, 1)) == pytest.approx(0.0087)
    assert model.itl(1, Lengths(1, 1)) == pytest.approx(0.0070)


def test_formula_prefill_partner():
    """The two points of TTFT = gamma + delta x tokens x batch, which the autoscaler's CRD has beside it."""
    found = estimate_pair(Pair(7.0, 8.7, 64, 15, 26, 128))
    (said,) = found.prefill_fit.outside(prompt_tokens=20_000)
    assert "prompt tokens 20000 is outside of the 128 that was measured" in said
    assert found.decode_fit.outside(prompt_tokens=128, batch=64) == ()
    assert found.prefill_model.ttft(1, Lengths(128, 1)) == pytest.approx(0.015)
    assert found.prefill_model.ttft(64, Lengths(128, 1)) == pytest.approx(0.026)
    delta = found.fit("linear-prefill").values["delta"]
    assert (delta.value, delta.unit) == (pytest.approx(0.011 / (128 * 63)), "s/(token request)")


# "Example Output"


def test_example_output(tmp_path):
    """The example's values and, in this order, its fields."""
    file = tmp_path / "parameters.json"
    servelab("estimate", "--two-point", "--itl-sync", 7.0, "--itl-throughput", 8.7, "--batch-size", 64, "-o", file)
    found = json.loads(file.read_text())
    assert list(found)[:5] == ["itl_synchronous", "itl_throughput", "batch_size", "alpha", "beta"]
    assert {name: round(found[name], 3) for name in list(found)[:5]} == {
        "itl_synchronous": 7.0,
        "itl_throughput": 8.7,
        "batch_size": 64.0,
        "alpha": 6.973,
        "beta": 0.027,
    }


def test_example_output_can_be_read_again(tmp_path):
    """The pipeline's own file too, with nothing in it but the example's fields."""
    file = tmp_path / "parameters.json"
    text = '{"itl_synchronous": 7.0, "itl_throughput": 8.7, "batch_size": 64.0, "alpha": 6.973, "beta": 0.027}'
    file.write_text(text)
    assert read_parameters(file).decode_model.alpha == pytest.approx(0.006973)
    servelab("estimate", "--two-point", "--itl-sync", 7.0, "--itl-throughput", 8.7, "-o", file)
    assert read_parameters(file).two_point.batch_size == 64


# "Results": what the calculation prints, and the files it reads


def test_results_printed():
    """ITL_synchronous, ITL_throughput, alpha and beta, here with the name of their model."""
    said = servelab("estimate", "--two-point", "--itl-sync", 7, "--itl-throughput", 8.7).stdout
    for word in ("ITL_synchronous: 7 ms", "ITL_throughput: 8.7 ms", "linear-batch", "6.973 ms", "0.02698 ms/request"):
        assert word in said


def test_results_workspace_files():
    """synchronous.json and throughput.json, as guidellm writes them."""
    found = estimate_pair(read_pair(SYNCHRONOUS, THROUGHPUT, 16)).two_point
    assert found.itl_synchronous == 6.387365491766679
    assert found.itl_throughput == 6.872234375853287
    said = servelab("estimate", "--from-reports", SYNCHRONOUS, THROUGHPUT, "--batch-size", 16, "--json")
    assert json.loads(said.stdout)["alpha"] == found.alpha
    assert json.loads(said.stdout)["fits"][0]["model"] == "linear-batch"


def test_results_of_the_pipeline_have_their_names():
    """alpha, beta, parameters-file, synchronous-report, throughput-report."""
    names = {one["name"] for one in render_estimation().files["pipeline.yaml"]["spec"]["results"]}
    assert names == {"alpha", "beta", "parameters-file", "synchronous-report", "throughput-report"}


def test_results_of_any_other_load_generator_are_levels_and_not_a_pair():
    stages = [RECORDED / "inference-perf" / f"stage_{number}_lifecycle_metrics.json" for number in (0, 1)]
    found = json.loads(servelab("estimate", "--from-reports", *stages, "--json").stdout)
    assert found["provenance"]["method"] == "sweep"
    assert found["provenance"]["harness"] == "inference-perf"
    said = servelab("estimate", "--from-reports", *stages, "--batch-size", 16, code=2).stderr
    assert "--batch-size goes with two reports of guidellm" in said


# "Parameters"


def test_parameters_have_the_defaults_of_the_table():
    """All but the secret, which the pipeline alone needs."""
    request = EstimateRequest()
    assert request.url == "http://vllm:8000"
    assert request.model == "unsloth/Meta-Llama-3.1-8B"
    assert (request.prompt_tokens, request.output_tokens) == (128, 128)
    assert request.max_seconds == 360
    assert request.max_concurrency == 64
    assert {one.name: one.default for one in fields(Pair)}["batch_size"] == 64
    of_run = {one["name"]: one["value"] for one in render_estimation().files[RUN]["spec"]["params"]}
    assert of_run["hf-secret-name"] == "huggingface-secret"


def test_parameters_make_the_study():
    study = estimation_study(EstimateRequest())
    assert study.platform.options["url"] == "http://vllm:8000"
    assert (study.workload.prompt.mean, study.workload.output.mean) == (128, 128)
    assert study.workload.prompt.distribution == "fixed"
    assert study.load.estimate.high == 64
    assert study.load.estimate.total == 360


# What the formula must not be given


@pytest.mark.parametrize(
    ("alone", "loaded", "batch", "word"),
    [
        (7, 8, 1, "batch size is 1"),
        (7, 8, 0, "batch size is 0"),
        (7, 6, 64, "may not be negative"),
        (1, 100, 2, "may not be negative"),
        (0, 8, 64, "synchronous inter-token latency is 0"),
        (7, float("nan"), 64, "throughput inter-token latency is nan"),
    ],
)
def test_points_that_make_no_line_are_named(alone, loaded, batch, word):
    with pytest.raises(ReportError, match=word):
        two_points(alone, loaded, batch)


def test_a_batch_of_one_is_answered_by_what_to_give():
    with pytest.raises(DocumentError) as found:
        estimate_pair(Pair(7.0, 8.0, 1))
    assert found.value.remedy == "Give it: --batch-size 64"


def test_equal_latencies_are_warned_of():
    assert "beta is 0" in estimate_pair(Pair(7.0, 7.0)).warnings[0]


@pytest.mark.parametrize(
    ("loaded", "word"),
    [
        ({}, "not a report of guidellm"),
        ({"benchmarks": []}, "not a report of guidellm"),
        (report(inter_token_latency_ms={}), "not a report of guidellm"),
        (report(itl=0.0, ok=0), "no request succeeded"),
        (report(itl=0.0), "no request succeeded, or each made a single token"),
    ],
)
def test_reports_without_samples_are_named(tmp_path, loaded, word):
    with pytest.raises(DocumentError, match=word):
        read_pair(*reports(tmp_path, report(7.0), loaded))


def test_failed_and_few_requests_are_warned_of(tmp_path):
    pair = read_pair(*reports(tmp_path, report(7.0, ok=3), report(failed=5, in_flight=20.0)))
    few, failed, crowd = pair.warnings
    assert "only 3 requests succeeded" in few
    assert "5 of 45 requests failed" in failed
    assert "20.0 requests were in flight" in crowd
    assert estimate_pair(pair).decode_fit.valid["batch"].high == 20.0


def test_missing_numbers_are_asked_for():
    assert "needs two latencies" in servelab("estimate", "--two-point", "--itl-sync", 7, code=2).stderr
    words = ("--itl-sync", 7, "--itl-throughput", 8, "--ttft-sync", 15)
    assert "the prefill needs all of" in servelab("estimate", "--two-point", *words, code=2).stderr
    assert "cannot read" in servelab("estimate", "--from-reports", "no.json", "no.json", code=2).stderr


def test_numbers_alone_are_the_bare_calculation():
    found = json.loads(servelab("estimate", "--itl-sync", 7.0, "--itl-throughput", 8.7, "--json").stdout)
    assert found["provenance"]["method"] == "two-point"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--itl-sync", 7, "--itl-throughput", 8, "--url", "http://vllm:8000"), "two-point formula takes no --url"),
        (("--two-point", "--from-reports", "a.json", "b.json"), "two-point formula takes no --from-reports"),
        (("--from-reports", "a.json", "b.json", "--model", "m"), "--from-reports takes no --model"),
        (("--from-study", "s", "--max-seconds", 60), "--from-study takes no --max-seconds"),
        (
            ("study.yaml", "--url", "http://vllm:8000", "--prompt-tokens", 128),
            "what is measured, takes no --url, --prompt-tokens",
        ),
        (("study.yaml", "--from-study", "s"), "--from-study takes no study document"),
        (("--trial", 3), "measuring a server takes no --trial"),
        (("--batch-size", 8), "measuring a server takes no --batch-size"),
    ],
)
def test_options_that_would_be_ignored_are_refused(words, said):
    assert said in servelab("estimate", *words, code=2).stderr


@pytest.mark.parametrize("option", ["--max-concurrency", "--max-seconds", "--prompt-tokens", "--output-tokens"])
def test_options_that_tell_nothing_are_refused(option):
    assert f"{option} is 0; it has to be at least" in servelab("estimate", option, 0, code=2).stderr
