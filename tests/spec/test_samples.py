"""What a sample can tell."""

from __future__ import annotations

import random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.spec.samples import mean_interval, needed_requests, percentile_ranks, share_interval, too_few


@pytest.mark.parametrize(("percent", "needed"), [(50, 6), (90, 36), (95, 72), (99, 368)])
def test_how_many_requests_a_percentile_needs(percent, needed):
    assert needed_requests(percent) == needed
    assert percentile_ranks(needed, percent) is not None
    assert percentile_ranks(needed - 1, percent) is None


def test_the_ranks_of_a_median_are_the_textbooks():
    assert percentile_ranks(10, 50) == (2, 9)
    assert percentile_ranks(100, 50) == (40, 61)


@pytest.mark.parametrize("percent", [50, 95])
def test_the_interval_covers_the_percentile_as_often_as_it_says(percent):
    rng = random.Random(1)
    low, high = percentile_ranks(200, percent) or (0, 0)
    hits = 0
    for _ in range(800):
        ordered = sorted(rng.random() for _ in range(200))
        hits += ordered[low - 1] <= percent / 100 <= ordered[high - 1]
    assert 0.94 <= hits / 800 <= 0.995


@given(st.integers(1, 3_000_000), st.sampled_from([50, 90, 95, 99]))
def test_ranks_lie_around_the_percentile(count, percent):
    ranks = percentile_ranks(count, percent)
    if ranks is not None:
        low, high = ranks
        assert 1 <= low <= count * percent / 100 + 1
        assert count * percent / 100 <= high <= count


@given(st.integers(1, 10_000), st.data())
def test_a_share_lies_in_its_interval(count, data):
    hits = data.draw(st.integers(0, count))
    low, high = share_interval(hits, count)
    assert 0 <= low <= hits / count + 1e-12
    assert hits / count - 1e-12 <= high <= 1


def test_a_mean_of_fewer_independent_values_is_known_less():
    values = [1.0, 2.0, 3.0, 4.0] * 25
    wide, narrow = (mean_interval(fmean(values), stdev(values), independent) for independent in (10, 100))
    assert wide[0] < narrow[0] < 2.5 < narrow[1] < wide[1]


def test_too_few_says_how_many_are_needed():
    assert too_few(["ttft_p99", "itl_mean", "ttft_p50"], 50) == (
        "ttft_p99 of 50 requests is a guess: it needs at least 368",
    )
    assert too_few(["ttft_p99"], 368) == ()
