"""From coefficients to latency, capacity and cost, and the commands that tell them."""

from __future__ import annotations

import json
import math

import pytest

from servelab.perf.arguments import batching
from servelab.perf.capacity import OVERLOAD, highest_rate
from servelab.perf.deployment import Batching, Deployment, Models, NotPredictableError
from servelab.perf.models import Lengths, LinearBatch, LinearPrefill, SaturatingBatch, StepTime, Tokenwise
from servelab.perf.parameters import Fit, FittedWorkload, Origin, Parameters, Span, write_parameters
from servelab.perf.predict import Effort, Price, predict
from servelab.perf.steps import requested
from servelab.spec.errors import DocumentError
from servelab.spec.goal import Constraint
from servelab.spec.workload import Workload
from tests.lab.studies import servelab

DECODE, PREFILL = LinearBatch(0.007, 0.00012), LinearPrefill(0.012, 33e-6)
COVARIANCE = ((4e-8, -2e-10), (-2e-10, 2e-11))
SMALL = Effort(requests=800, draws=8)
SLO = [Constraint.model_validate("ttft_p95 <= 100ms"), Constraint.model_validate("itl_p95 <= 14ms")]


def parameters(decode=DECODE, prefill=PREFILL, covariance=COVARIANCE, output=128, **rest) -> Parameters:
    valid = {"batch": Span(low=1, high=64), "prompt_tokens": Span(low=64, high=512)}
    valid["output_tokens"] = Span(low=output, high=output)
    fits = [Fit.of(decode, covariance=covariance, valid=valid)]
    if prefill is not None:
        fits.append(Fit.of(prefill, valid=valid))
    return Parameters(
        fits=tuple(fits),
        decode=decode.name,
        prefill=prefill and prefill.name,
        workload=FittedWorkload(prompt_tokens=128, output_tokens=128),
        provenance=Origin(method="given"),
        **rest,
    )


def deployment(of: Parameters | None = None, seqs=64, prompt=128, output=128) -> Deployment:
    workload = Workload.model_validate({"prompt": prompt, "output": output})
    return Deployment(Models.of(of or parameters()), workload, Batching(max_num_seqs=seqs))


def test_latency_grows_with_the_rate_and_intervals_hold_it():
    low, high = (predict(parameters(), deployment(), rate, effort=SMALL) for rate in (5, 20))
    for name in ("ttft_p95", "itl_mean", "e2e_p50"):
        assert low.metrics[name].value < high.metrics[name].value
        for found in (low, high):
            below, above = found.metrics[name].interval
            assert below <= found.metrics[name].value <= above
            assert 0 < above - below < found.metrics[name].value
    assert low.stable
    assert low.warnings == ()
    assert low.closed_form.itl == pytest.approx(low.metrics["itl_mean"].value, rel=0.05)


def test_the_measured_itl_comes_back():
    """A steady batch has the ITL that was fitted at it, prompts that join included."""
    found = predict(parameters(), deployment(), 25, effort=SMALL)
    batch = found.metrics["concurrency"].value
    assert found.metrics["itl_mean"].value == pytest.approx(DECODE.itl(batch, Lengths(128, 128)), rel=0.04)


def test_capacity_keeps_the_slo_just_so_and_names_what_limits_it():
    found = predict(parameters(), deployment(), 40, SLO, Price(2, 1.5), SMALL).capacity
    rate = found.highest_rate.value
    at, beyond = (deployment().at(r, SMALL.requests, SMALL.seed).metrics() for r in (rate, rate * 1.03))
    assert all(one.violation(at[one.metric]) <= 0 for one in SLO)
    assert any(one.violation(beyond[one.metric]) > 0 for one in SLO)
    assert found.limited_by in map(str, SLO)
    assert found.highest_rate.interval[0] < rate < found.highest_rate.interval[1]
    assert found.replicas == math.ceil(40 / rate)
    assert found.cost_per_hour == pytest.approx(3.0 * found.replicas)
    assert found.cost_per_million_tokens == pytest.approx(found.cost_per_hour / (40 * 128 * 3600 / 1e6))


def test_a_highest_rate_beyond_what_was_measured_is_told():
    loose = [Constraint.model_validate("itl_p95 <= 40ms")]
    far = predict(parameters(), deployment(seqs=256), 10, loose, effort=SMALL)
    assert any("at the highest rate, linear-batch is extrapolated: batch" in warning for warning in far.warnings)
    near = predict(parameters(), deployment(seqs=32), 10, loose, effort=SMALL)
    assert not any("extrapolated" in warning for warning in near.warnings)


def test_an_slo_that_no_rate_keeps_and_one_that_only_overload_misses():
    never = highest_rate(deployment(), [Constraint.model_validate("itl_p50 <= 1ms")], 300, 0)
    assert (never.rate, never.limited_by) == (0.0, "itl_p50 <= 1 ms")
    ever = highest_rate(deployment(), [Constraint.model_validate("itl_p50 <= 10s")], 2000, 0)
    assert ever.limited_by == OVERLOAD
    assert ever.rate == pytest.approx(deployment().queue.capacity, rel=0.15)
    found = predict(parameters(), deployment(), 60, [Constraint.model_validate("itl_p50 <= 1ms")], Price(), SMALL)
    assert found.capacity.replicas is None
    assert not found.stable
    assert any("latencies grow" in warning for warning in found.warnings)


def test_sensitivity_has_the_signs_that_one_expects():
    found = {one.of: one for one in predict(parameters(), deployment(), 20, effort=SMALL).sensitivity}
    assert set(found) == {
        "request rate",
        "prompt tokens",
        "output tokens",
        "alpha of linear-batch",
        "beta of linear-batch",
        "gamma of linear-prefill",
        "delta of linear-prefill",
    }
    assert found["output tokens"].e2e_p95 > 0.08
    assert found["alpha of linear-batch"].e2e_p95 > 0.03
    assert found["request rate"].greatest_rate == pytest.approx(0)
    assert found["beta of linear-batch"].greatest_rate < 0


def test_what_is_not_known_is_said():
    bare = predict(parameters(prefill=None, covariance=None), deployment(parameters(prefill=None)), 10, effort=SMALL)
    assert all(one.interval is None for one in bare.metrics.values())
    assert "nothing is known of prompts" in " ".join(bare.warnings)
    assert "there are no intervals" in " ".join(bare.warnings)
    far = predict(parameters(), deployment(seqs=256, prompt=1000), 25, effort=SMALL)
    assert any("prompt tokens 1000 is outside of the 64 to 512" in warning for warning in far.warnings)
    chatty = predict(parameters(output=24), deployment(output=2000), 1, effort=SMALL)
    assert any("output tokens 2000 is outside of the 24 that was" in warning for warning in chatty.warnings)
    with pytest.raises(NotPredictableError, match="below max_num_seqs 9000"):
        predict(parameters(), deployment(seqs=9000), 1, effort=SMALL)


@pytest.mark.parametrize(
    ("decode", "prefill", "step"),
    [
        (StepTime(0.006, 3e-5, 1e-5, 6e-8), None, 0.006 + 100 * 3e-5 + 8 * 1e-5 + 900 * 6e-8),
        (Tokenwise(0.006, 3e-5, 6e-8), None, 0.006 + 108 * 3e-5 + 900 * 6e-8),
        (SaturatingBatch(0.006, 0.01, 20), None, 0.006 + 0.01 * 8 / 28),
        (DECODE, PREFILL, 0.007 + 8 * (0.00012 - 33e-6) + 100 * 33e-6),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_each_model_makes_a_step(decode, prefill, step):
    assert requested(decode, prefill, Lengths(128, 128)).time.seconds(100, 8, 900) == pytest.approx(step)


def test_ttft_alone_is_what_the_prefill_model_says():
    found = requested(DECODE, PREFILL, Lengths(128, 128))
    assert found.overhead + found.time.seconds(128, 0, 128) == pytest.approx(0.012 + 33e-6 * 128)


def test_limits_come_from_the_engines_own_arguments():
    assert batching("sglang", {"max_running_requests": 48, "chunked_prefill_size": 4096}).max_num_seqs == 48
    assert batching("llamacpp", {}).max_num_seqs == 4
    assert batching("vllm", {"enable_prefix_caching": False, "block_size": 32}).block_size == 32
    assert batching("of-a-plug-in", {"max_num_seqs": 9}).max_num_seqs == 9


def test_another_model_of_the_file_predicts_if_it_is_named():
    own = StepTime(0.007, 33e-6, 0.0001, 0.0)
    both = parameters()
    both = both.model_copy(update={"fits": (*both.fits, Fit.of(own))})
    chosen = both.predicting_by("step-time")
    assert (chosen.decode, chosen.prefill) == ("step-time", "step-time")
    assert deployment(chosen).engine.time.seconds(100, 8, 900) == pytest.approx(own.step(100, 8, 900))
    assert predict(chosen, deployment(chosen), 5, effort=SMALL).model == "step-time"
    with pytest.raises(DocumentError, match="the file has linear-batch, step-time"):
        both.predicting_by("linear-prefill")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "parameters.json"
    write_parameters(parameters(), path)
    return str(path)


def test_predict_is_told_to_people_and_programs(file):
    few = ("--requests", "400", "--draws", "4")
    arguments = ("predict", "--from", file, "--rate", "20", "--slo", "ttft_p95=100ms", "--slo", "itl_p95<=14ms", *few)
    text = servelab(*arguments, "--accelerator-hour-cost", "2.5").stdout
    for said in ("Predicted, not measured", "TTFT p95", "replica", "per million output tokens", "A tenth more of"):
        assert said in text
    found = json.loads(servelab(*arguments, "--json").stdout)
    assert found["metrics"]["ttft_p95"]["interval"][0] <= found["metrics"]["ttft_p95"]["value"]
    assert found["capacity"]["replicas"] >= 1
    assert found == json.loads(servelab(*arguments, "--json").stdout), "the same seed gives the same"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "0"), "rate must be above 0"),
        (("--rate", "nan"), "rate must be above 0"),
        (("--rate", "inf"), "rate is inf: input should be"),
        (("--rate", "5", "--prompt-tokens", "nan"), "prompt-tokens is nan: input should be"),
        (("--rate", "5", "--output-tokens", "inf"), "output-tokens is inf: input should be"),
        (("--rate", "5", "--draws", "-1"), "draws is -1: input should be greater than or equal to 0"),
        (("--rate", "5", "--seed", "-1"), "seed is -1: input should be"),
        (("--rate", "5", "--requests", "1"), "requests is 1: input should be greater than or equal to 100"),
        (("--rate", "5", "--slo", "ttft_p95=1s", "--accelerator-hour-cost", "nan"), "accelerator-hour-cost is nan"),
        (("--rate", "5", "--slo", "ttft_p95=1s", "--accelerator-hour-cost", "-4"), "accelerator-hour-cost is -4"),
        (("--rate", "5", "--slo", "ttfp_p95=500ms"), "did you mean 'ttft_p95'"),
        (("--rate", "5", "--slo", "error_rate=1%"), "error_rate is not predicted"),
        (("--rate", "5", "--slo", "ttft_p95=soon"), "is not a constraint"),
        (("--rate", "5", "--workload", "chatsweeep"), "chatsweep"),
        (("--rate", "5", "--kv-tokens", "100"), "larger than the KV cache of 96 tokens"),
    ],
)
def test_what_cannot_be_predicted_is_said_in_a_sentence(file, arguments, said):
    few = [*(() if "--requests" in arguments else ("--requests", "100"))]
    few += () if "--draws" in arguments else ("--draws", "0")
    done = servelab("predict", "--from", file, *few, *arguments, check=False)
    assert done.returncode in (2, 3)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


STUDY = """
name: planned
model: org/m
engine: {name: vllm, arguments: {max_num_seqs: 8}}
workload: {prompt: 128, output: {mean: 64, stdev: 16}}
load: {rate: [5, 400], requests: 300}
constraints: [ttft_p95 <= 500ms]
objectives: [maximize output_throughput]
space: {parameters: {max_num_batched_tokens: [2048, 4096]}}
"""


def test_a_study_is_simulated_level_by_level(file, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    done = servelab("simulate", str(study), "--from", file)
    assert "at most 8 at once" in done.stdout
    assert "5 req/s (poisson)" in done.stdout
    assert "400 req/s (poisson): more requests come than are served" in done.stderr
    found = json.loads(servelab("simulate", str(study), "--from", file, "--json").stdout)
    assert [level["load"]["level"] for level in found["levels"]] == [5, 400]
    assert found["simulated"] is True
    study.write_text(STUDY.replace("{rate: [5, 400], requests: 300}", "{sweep: 4, requests: 200}"))
    assert len(json.loads(servelab("simulate", str(study), "--from", file, "--json").stdout)["levels"]) == 4
    search = "{saturation: {of: rate, low: 1, high: 99}, requests: 200}"
    study.write_text(STUDY.replace("{rate: [5, 400], requests: 300}", search))
    (level,) = json.loads(servelab("simulate", str(study), "--from", file, "--json").stdout)["levels"]
    assert level["metrics"]["ttft_p95"] <= 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "nan"), "rate must be above 0"),
        (("--rate", "inf"), "rate must be finite"),
        (("--rate", "5", "--seed", "-1"), "seed must be at least 0"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_a_sentence(file, tmp_path, arguments, said):
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    done = servelab("simulate", str(study), "--from", file, *arguments, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_workload_alone_is_simulated_too(file, tmp_path):
    workload = tmp_path / "workload.yaml"
    workload.write_text("prompt: 100\noutput: 50\n")
    done = servelab("simulate", str(workload), "--from", file, "--concurrency", "8", "--requests", "100")
    assert "concurrency 8" in done.stdout
    missing = servelab("simulate", str(workload), "--from", file, check=False)
    assert "Give --rate or --concurrency" in missing.stderr
    workload.write_text("prompt: 100\noutputs: 50\n")
    wrong = servelab("simulate", str(workload), "--from", file, "--rate", "5", check=False)
    assert "workload.yaml:" in wrong.stderr
    assert wrong.returncode == 2
