"""When requests are due."""

from __future__ import annotations

import random
from itertools import islice, pairwise
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.spec.arrivals import due_times
from servelab.spec.load import Load, LoadPoint

RATES = st.floats(0.01, 1000)


def due(load: LoadPoint, count: int = 0, seed: int = 1, recorded: list[float] | None = None) -> list[float]:
    times = due_times(load, random.Random(seed), recorded or [])
    return list(islice(times, count) if count else times)


@given(RATES, st.sampled_from(["constant", "poisson", "gamma"]), st.integers())
def test_arrivals_never_go_back_and_stop_at_their_count(rate, kind, seed):
    found = due(LoadPoint(kind=kind, level=rate, burstiness=0.3, requests=40), seed=seed)
    assert len(found) == 40
    assert all(a <= b for a, b in pairwise([0.0, *found]))


@pytest.mark.parametrize("shape", [0.25, 1.0, 4.0])
def test_burstiness_is_the_gammas_shape(shape):
    found = due(LoadPoint(kind="gamma", level=5, burstiness=shape), 40_000)
    gaps = [b - a for a, b in pairwise(found)]
    assert fmean(gaps) == pytest.approx(0.2, rel=0.05)
    assert pstdev(gaps) / fmean(gaps) == pytest.approx(shape**-0.5, rel=0.05)


def test_burstiness_alone_means_gamma_arrivals():
    (point,) = Load(rate=2, burstiness=0.5, requests=10).points
    assert (point.kind, point.burstiness, point.label) == ("gamma", 0.5, "2 req/s (gamma 0.5)")
    with pytest.raises(ValueError, match="gamma arrivals, not constant"):
        Load(rate=2, burstiness=0.5, arrival="constant", requests=10)


@given(RATES, RATES, st.floats(1, 1000))
def test_a_ramp_is_the_inverse_of_its_rates_integral(low, high, seconds):
    load = LoadPoint(kind="constant", level=high, start=low, seconds=seconds)
    for number, when in enumerate(due(load, 50)):
        inside = min(when, seconds)
        sent = low * inside + (high - low) * inside**2 / (2 * seconds) + high * max(0.0, when - seconds)
        assert sent == pytest.approx(number, rel=1e-6, abs=1e-6)


def test_a_ramp_of_requests_ends_at_its_higher_rate():
    (load,) = Load(ramp={"low": 1, "high": 9}, arrival="constant", requests=500).points
    found = due(load)
    assert load.label == "1 to 9 req/s (constant)"
    assert found[-1] == pytest.approx(100, rel=0.01)
    assert found[1] - found[0] == pytest.approx(1, rel=0.1)
    assert found[-1] - found[-2] == pytest.approx(1 / 9, rel=0.05)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50).map(sorted), st.floats(0.01, 100))
def test_a_replay_is_the_trace_at_its_speed(recorded, scale):
    assert due(LoadPoint(kind="replay", level=scale), recorded=recorded) == [when / scale for when in recorded]
