"""When a measurement is steady."""

from __future__ import annotations

import random

import pytest

from servelab.harnesses.builtin.window import MOST_BATCHES, Settling


def settling(values: list[float]) -> Settling:
    found = Settling()
    for number, value in enumerate(values):
        found.add(value, float(number))
    return found


def test_the_change_point_is_where_the_warm_up_ends():
    rng = random.Random(3)
    found = settling([rng.gauss(1, 0.1) + (2 if i < 40 else 0) for i in range(400)])
    assert found.steady_from == pytest.approx(39, abs=10)
    assert not found.rising


def test_noise_is_steady_from_the_start_and_seldom_said_to_rise():
    runs = [settling([random.Random(seed * 1000 + i).expovariate(1) for i in range(300)]) for seed in range(60)]
    assert sum(run.rising for run in runs) <= 1
    assert sum(run.steady_from is not None for run in runs) > 50


@pytest.mark.parametrize("count", [200, 5000])
def test_a_growing_queue_is_never_steady(count):
    rng = random.Random(5)
    found = settling([i / 50 + rng.expovariate(5) for i in range(count)])
    assert found.rising
    assert found.steady_from is None
    assert len(found.means) < MOST_BATCHES, "memory stays the same"


def test_of_few_requests_nothing_is_said():
    assert settling([1.0] * 20).steady_from is None
    assert not settling([float(i) for i in range(20)]).rising
