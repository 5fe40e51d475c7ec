"""Forms, flaws, batches and the design."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest

from servelab.perf.decode import fit_decode, levels
from servelab.perf.design import next_level, opening, widest
from servelab.perf.estimate import estimate
from servelab.perf.models import KneeBatch, Lengths, LinearBatch, SaturatingBatch, StepTime, Tokenwise
from servelab.perf.parameters import Origin
from servelab.perf.prefill import fit_prefill, fit_step_time, fit_tokenwise
from servelab.perf.sample import Sample, Steps, samples
from servelab.spec.errors import MeasureError
from servelab.spec.load import Estimation, Load, LoadPoint
from servelab.spec.report import ClientHealth, Provenance, Report

LENGTHS = Lengths(128, 128)
SWEEP = (1, 2, 4, 8, 16, 32, 64)
ORIGIN = Origin(method="sweep")


def drawn(model, noise=0.003, repeats=2, seed=1):
    rng = np.random.default_rng(seed)
    return [
        Sample(
            b, float(b), model.itl(b, LENGTHS) * float(np.exp(rng.normal(0, noise))), 0.02 + 3e-5 * 128 * b, 128, 128
        )
        for b in SWEEP
        for _ in range(repeats)
    ]


@pytest.mark.parametrize(
    "model",
    [
        LinearBatch(0.007, 0.00003),
        KneeBatch(0.007, 0.00001, 0.0004, 16),
        SaturatingBatch(0.007, 0.02, 10),
    ],
)
def test_the_form_is_recognised(model):
    fits, best = fit_decode(drawn(model))
    assert best == model.name
    chosen = next(fit for fit in fits if fit.model == best)
    for batch in (3, 12, 48):
        assert chosen.instance.itl(batch, LENGTHS) == pytest.approx(model.itl(batch, LENGTHS), rel=0.02)
    assert fits[0].model == "linear-batch"


def test_one_wild_measurement_hardly_matters():
    model = LinearBatch(0.007, 0.00003)
    found = drawn(model)
    wild = Sample(32, 32.0, 10 * model.itl(32, LENGTHS), 0.1, 128, 128)
    fits, _ = fit_decode([*found, wild])
    assert fits[0].values["alpha"].value == pytest.approx(0.007, rel=0.02)
    assert fits[0].values["beta"].value == pytest.approx(0.00003, rel=0.1)


def test_levels_that_hardly_differ_are_one():
    assert levels([1, 1.02, 4, 8, 8.1]) == pytest.approx([1.01, 4, 8.05])


def test_prefill_is_fitted_to_tokens_times_batch():
    fit = fit_prefill(drawn(LinearBatch(0.007, 0.00003)))
    assert fit.values["gamma"].value == pytest.approx(0.02, rel=0.01)
    assert fit.values["delta"].value == pytest.approx(3e-5, rel=0.01)
    assert fit_prefill(drawn(LinearBatch(0.007, 0.00003))[:2]) is None  # one level


def test_tokenwise_is_fitted_to_both_latencies():
    true = Tokenwise(0.006, 0.00004, 6e-8)
    found = [Sample(b, float(b), true.itl(b, LENGTHS), true.ttft(b, LENGTHS), 128, 128) for b in SWEEP]
    for name, one in fit_tokenwise(found).values.items():
        assert one.value == pytest.approx(getattr(true, name), rel=1e-3)


def test_a_step_is_taken_apart():
    """A token's interval holds the prompts that joined meanwhile, a first token the step that ran before its own."""
    true = StepTime(0.0064, 0.000033, 0.000024, 0.0)
    found = []
    for batch, share in zip(SWEEP, (0, 0.3, 0.9, 0.5, 0.2, 0.8, 0.6), strict=True):
        prompts = 128.0 * max(1, round(batch * (1 - share)))
        held = Steps(share * (batch - 1), 1 + share, prompts, (1 + share) * batch - prompts / 128)
        itl = true.base + true.prefill * held.joined + true.decode * batch
        ttft = true.base * held.until_first + true.prefill * prompts + true.decode * held.decoding + 0.002
        found.append(Sample(batch, float(batch), itl, ttft, 128, 128, steps=held))
    fit = fit_step_time(found)
    for name in ("base", "prefill", "decode"):
        assert fit.values[name].value == pytest.approx(getattr(true, name), rel=0.01)


# What takes part


def report(level=4, running=None, waiting=0.0, errors=None, health="ok", **metrics):
    server = {} if running is None else {"running": running, "waiting": waiting}
    known = {"itl_mean": 0.01, "ttft_mean": 0.1, "concurrency": float(level), "request_throughput": 2.0}
    provenance = Provenance(
        servelab="0", harness="builtin", harness_version="0", engine="vllm", model="m", seed=0, started_at="2026-01-01"
    )
    return Report(
        load=LoadPoint(kind="concurrency", level=level),
        metrics={**known, "output_throughput": 20.0, "total_throughput": 50.0, **metrics},
        requests=100,
        duration=10,
        errors=errors or {},
        server=server,
        client=ClientHealth(verdict=health, reasons=("it used 99% of its core",)),
        provenance=provenance,
        records="records.jsonl.gz",
    )


def sample(*args, directory=None, **kwargs):
    (found,) = samples([(report(*args, **kwargs), directory)])
    return found


def test_the_batch_is_the_clients_unless_the_server_knows_better():
    assert sample(4).batch == 4
    assert sample(4, running=3.8).source == "client"
    queued = sample(16, running=8.0, waiting=8.0, ttft_mean=5.0)
    assert (queued.batch, queued.source) == (8.0, "server")
    assert queued.queue == 4.0  # Little: 8 waiting at 2 per second
    assert queued.ttft == 1.0
    assert sample(4, running=12.0).batch == 12.0  # somebody else's requests
    assert (sample(4).prompt, sample(4).output) == (15.0, 10.0)


def test_the_batch_is_that_which_tokens_met(tmp_path):
    """Two streams to the end at 1 s; then one of them goes on alone."""
    lines = [
        {"sent": 0.0, "first": 0.0, "last": 1.0, "error": None},
        {"sent": 0.0, "first": 0.0, "last": 3.0, "error": None},
        {"sent": 0.0, "first": None, "last": None, "error": "http 500"},
    ]
    with gzip.open(tmp_path / "records.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({**one, "prompt_tokens": 8, "output_tokens": 5}) + "\n" for one in lines)
    # 1 s of two and one of one, by two requests: (1 x 2 + 1 x 2 + 2 x 1) / (1 + 3)
    assert sample(2, directory=tmp_path).batch == pytest.approx(1.5)


def test_flawed_measurements_stay_out_and_are_named():
    good = [(report(level, itl_mean=0.01 + level * 0.001), None) for level in (1, 2, 4, 8)]
    slow = (report(64, health="saturated", itl_mean=9.0), None)
    failing = (report(32, errors={"http 500": 50}, itl_mean=9.0), None)
    found = estimate(samples([*good, slow, failing]), ORIGIN)
    assert found.decode_model.itl(4, LENGTHS) == pytest.approx(0.014, rel=1e-3)
    assert "at concurrency 64 is left out: the load generator was too slow" in found.warnings[0]
    assert "at concurrency 32 is left out: 50 of 100 requests failed" in found.warnings[1]
    with pytest.raises(MeasureError, match="two levels of concurrency, and 1 of 2 measurements can be used"):
        estimate(samples([good[0], slow]), ORIGIN)


def test_doubtful_fits_are_warned_of():
    falling = [Sample(b, float(b), 0.02 - 0.001 * b, 0.1, 8, 8) for b in (1, 4)]
    said = " | ".join(estimate(falling, ORIGIN).warnings)
    assert "two levels only" in said
    assert "beta of linear-batch is negative" in said
    capped = samples(
        [(report(level, running=min(level, 8.0), waiting=max(0.0, level - 8)), None) for level in (1, 8, 32)]
    )
    assert any("ran 8.0 requests at once, and others waited" in one for one in estimate(capped, ORIGIN).warnings)


# The design


def load(most=24):
    return Load(estimate=Estimation(high=64, total=100, most=most), seconds=8)


def test_the_first_levels_are_the_ends_and_some_between():
    assert opening(64) == [1, 64, 23, 8, 3]
    assert opening(2) == [1, 2]
    first = [next_level(load(), [None] * n, 0.0).level for n in range(5)]
    assert first == opening(64)


def test_then_where_the_prediction_gets_narrowest():
    found = [s for s in drawn(LinearBatch(0.007, 0.0003), noise=0.03, repeats=1) if s.concurrency < 64]
    chosen = next_level(load(), found, 50.0).level
    wider = {b: widest(fit_decode([*found, _again(found, b)])[0][0], 64) for b in (2, 8, chosen)}
    assert chosen == 64  # nothing is known of it yet
    assert wider[chosen] == min(wider.values())


def test_the_widest_interval_of_a_knee_is_of_the_fits_own_freedom():
    fits, _ = fit_decode(drawn(KneeBatch(0.007, 0.0001, 0.0008, 8), noise=0.01))
    fit = next(one for one in fits if one.model == "knee-batch")
    alpha, ((var, cov, *_), (_, slope, *_), *_) = fit.values["alpha"], fit.covariance
    quantile = (alpha.interval[1] - alpha.value) / math.sqrt(var)
    itl = fit.instance.itl(1, LENGTHS)
    assert widest(fit, 1) == pytest.approx(quantile * math.sqrt(var + 2 * cov + slope) / itl)


def _again(found, batch):
    model = fit_decode(found)[0][0].instance
    return Sample(batch, float(batch), model.itl(batch, LENGTHS), 0.1, 128, 128)


def test_it_ends_when_the_time_is_up_or_the_answer_is_narrow():
    wide = drawn(LinearBatch(0.007, 0.0003), noise=0.1)
    assert next_level(load(), wide, 50.0) is not None
    assert next_level(load(), wide, 100.0) is None
    assert next_level(load(most=14), wide, 50.0) is None
    narrow = drawn(LinearBatch(0.007, 0.0003), noise=0.0005)
    assert next_level(load(), narrow, 50.0) is None


def test_levels_that_the_load_generator_cannot_make_are_not_asked_for_again():
    found = drawn(LinearBatch(0.007, 0.0003), noise=0.05)
    spoilt = [Sample(**{**vars(s), "flaw": "too slow" if s.concurrency == 64 else ""}) for s in found]
    assert next_level(load(), spoilt, 50.0).level < 64
