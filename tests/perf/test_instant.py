"""The closed form's whole answer: quick, consistent with the queue and the simulator, and plain about what it is."""

from __future__ import annotations

import json
import re
import time

import pytest

from servelab.perf.asked import Asked, Simulated, read_slo
from servelab.perf.instant import Bounds, Instant, instant
from servelab.perf.pair import Pair, estimate_pair
from servelab.perf.parameters import Parameters, file_data, parse_parameters
from servelab.perf.predict import predict
from servelab.spec.errors import DocumentError

PARAMETERS = estimate_pair(Pair(7.0, 8.7, 64, 15, 26, 128))


def answer(parameters: Parameters = PARAMETERS, **asked: object) -> Instant:
    one = Asked.model_validate({"rate": 20, "prompt_tokens": 128, "output_tokens": 64, "max_num_seqs": 64, **asked})
    return instant(parameters, one.deployment(parameters), one.rate, one.bounds, one.price)


def test_the_highest_rate_keeps_the_bounds_and_replicas_follow():
    found = answer(rate=500, slo=["itl_mean <= 8.5ms"], accelerators=2, accelerator_hour_cost=3)
    assert found.highest_rate is not None
    at_highest = answer(rate=found.highest_rate).at_rate
    assert at_highest is not None
    assert at_highest.itl == pytest.approx(0.0085, rel=1e-3)
    assert found.replicas is not None
    assert (found.replicas - 1) * found.highest_rate < 500 <= found.replicas * found.highest_rate
    assert found.each is not None
    assert found.each.itl <= 0.0085
    assert found.cost_per_hour == 3 * 2 * found.replicas
    assert found.cost_per_million_tokens == pytest.approx(found.cost_per_hour / (500 * 64 * 3600 / 1e6))
    assert found.at_rate is None
    assert "more requests come" in found.warnings[0]


def test_what_is_free_costs_nothing():
    found = answer(rate=500, accelerator_hour_cost=0)
    assert (found.cost_per_hour, found.cost_per_million_tokens) == (0, 0)


def test_the_curve_rises_to_the_wall_and_agrees_with_the_simulator():
    found = answer()
    rates = [one.rate for one in found.curve]
    assert rates == sorted(rates)
    assert 0.97 * found.greatest_rate < rates[-1] < found.greatest_rate
    latencies = [one.ttft for one in found.curve]
    assert latencies == sorted(latencies)
    asked = Simulated(rate=20, prompt_tokens=128, output_tokens=64, max_num_seqs=64, requests=1000, draws=0)
    simulated = predict(PARAMETERS, asked.deployment(PARAMETERS), 20, effort=asked.effort)
    assert found.at_rate is not None
    assert simulated.metrics["itl_mean"].value == pytest.approx(found.at_rate.itl, rel=0.05)


def test_it_says_what_is_extrapolated_and_what_is_simulated():
    assert answer(rate=5).warnings == ()
    said = " ".join(answer(rate=200, max_num_seqs=256).warnings)
    assert "linear-batch is extrapolated: batch" in said
    made = PARAMETERS.model_copy(update={"provenance": PARAMETERS.provenance.model_copy(update={"simulated": True})})
    assert "simulated engine" in " ".join(answer(made).warnings)


def test_the_closed_form_keeps_means_only():
    with pytest.raises(DocumentError, match="means only"):
        answer(slo=["ttft_p95 <= 1s"])
    assert read_slo("ttft_p95=500ms").bound == 0.5
    with pytest.raises(DocumentError, match="is not predicted"):
        read_slo("error_rate=1%")


def test_coefficients_from_elsewhere_are_read_with_care():
    text = json.dumps(file_data(PARAMETERS))
    assert parse_parameters(text, "f").fits == PARAMETERS.fits
    endless = [re.sub(r'"value": [^,]+', f'"value": {value}', text, count=1) for value in ("NaN", "1e999")]
    for wrong in ("[" * 100_000, *endless, "{}", "3"):
        with pytest.raises(DocumentError):
            parse_parameters(wrong, "f")


def test_it_is_quick_enough_to_drag():
    answer(max_num_seqs=1024)
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        answer(max_num_seqs=1024, slo=["ttft_mean <= 1s", "itl_mean <= 9ms"])
        taken.append(time.perf_counter() - started)
    assert min(taken) < 1  # a bound for a busy machine; the benchmark has the number


def test_bounds_are_above_zero():
    with pytest.raises(ValueError, match="greater than 0"):
        Bounds(ttft=0)
