"""Coefficients that are known come back, and their intervals hold what they promise."""

from __future__ import annotations

from functools import cache

import pytest

from servelab.engines.simulated.pace import Execution, step_time
from servelab.perf.estimate import estimate
from servelab.perf.models import Lengths
from servelab.perf.parameters import Origin
from servelab.perf.prefill import fit_step_time
from tests.perf.virtual import PROFILE, measure, truth

LENGTHS = Lengths(32, 48)
LEVELS = (1, 2, 4, 8, 16)
RUNS = 200
REPEATS = 2
TRUE = dict(zip(("alpha", "beta", "gamma", "delta"), truth(LENGTHS), strict=True))
MODEL = {"alpha": "linear-batch", "beta": "linear-batch", "gamma": "linear-prefill", "delta": "linear-prefill"}


@cache
def runs():
    """200 runs, each of two measurements at each of the levels; the simulated engine's noise, seeded."""
    return [
        [measure(level, LENGTHS, 2, seed * 1000 + level * 10 + r) for level in LEVELS for r in range(REPEATS)]
        for seed in range(RUNS)
    ]


@cache
def estimates():
    return [estimate(run, Origin(method="sweep", simulated=True)) for run in runs()]


def test_known_coefficients_are_recovered_within_3_percent():
    pooled = estimate([one for run in runs()[:20] for one in run], Origin(method="sweep", simulated=True))
    assert pooled.decode == "linear-batch"
    for name, true in TRUE.items():
        assert pooled.fit(MODEL[name]).values[name].value == pytest.approx(true, rel=0.03), name


@pytest.mark.parametrize("spread", [0.0, 0.25], ids=["in step", "lengths drawn"])
def test_a_step_is_taken_apart_within_3_percent(spread):
    """Whether requests come all at once, or each waits for a step of the others."""
    found = [measure(level, LENGTHS, 8, 100 * level + r, spread) for level in (*LEVELS, 48) for r in range(12)]
    fit = fit_step_time(found)
    base, decode, _, _ = truth(LENGTHS)
    known = {"base": base, "decode": decode, "prefill": step_time(PROFILE, Execution()).prefill_s}
    for name, true in known.items():
        assert fit.values[name].value == pytest.approx(true, rel=0.03), name


@pytest.mark.parametrize("name", TRUE)
def test_intervals_cover_the_truth_in_90_to_98_percent_of_200_runs(name):
    intervals = [one.fit(MODEL[name]).values[name].interval for one in estimates()]
    covered = sum(low <= TRUE[name] <= high for low, high in intervals) / RUNS
    assert 0.90 <= covered <= 0.98


def test_a_straight_line_is_rarely_taken_for_a_bent_one():
    assert sum(one.decode == "linear-batch" for one in estimates()) >= 0.9 * RUNS
