"""A step of the simulated engine takes what its formula says."""

from __future__ import annotations

import pytest

from servelab.batching.scheduler import Step
from servelab.engines.simulated.pace import NOISE, Execution, Pace, step_time
from servelab.engines.simulated.profile import profiles

H100 = profiles()["h100-llama-3.1-8b"]


def test_a_step_costs_what_the_formula_says():
    def seconds(**execution):
        return step_time(H100, Execution(**execution)).seconds(100, 10, 5000)

    alone = 0.0064 + 100 * 33e-6 + 10 * 12e-6 + 5000 * 65e-9
    assert seconds() == pytest.approx(alone)
    assert seconds(kv_bytes=1) == pytest.approx(alone - 5000 * 65e-9 / 2)
    assert seconds(devices=4) == pytest.approx(alone / 4 + 2 * 0.0009)
    assert seconds(eager=True) > alone


def test_the_same_seed_gives_the_same_times():
    steps = [Step((), 100 * n, n, 5000) for n in range(1, 200)]

    def times(seed):
        pace = Pace(H100, Execution(), seed)
        return [pace.seconds(step) for step in steps]

    assert times(1) == times(1) != times(2)
    exact = [step_time(H100, Execution()).seconds(one.prefill, one.decode, one.context) for one in steps]
    ratios = [found / true for found, true in zip(times(3), exact, strict=True)]
    assert all(abs(ratio - 1) < 6 * NOISE for ratio in ratios)
