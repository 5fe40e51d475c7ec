"""The intervals cover the truth as often as they say, and rarely call noise a gain. All data are drawn from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from servelab.report.blocks import risk_above_zero, simultaneous_differences

RUNS = 300
NOISE = 0.03


def _normal(rng, shape):
    return rng.normal(0, NOISE, shape)


def _heavy_tails(rng, shape):
    return rng.standard_t(3, shape) * NOISE / 1.5


def _unequal(rng, shape):
    return rng.normal(0, NOISE, shape) * np.array([1, 3, 1])[: shape[0], None]


@pytest.mark.parametrize("noise", [_normal, _heavy_tails, _unequal])
@pytest.mark.parametrize(("rows", "rounds"), [(2, 3), (3, 3), (3, 5)])
def test_simultaneous_coverage_and_false_winners(noise, rows, rounds):
    rng = np.random.default_rng(rows * 100 + rounds)
    covered = false_winners = 0
    for _ in range(RUNS):
        drift = rng.normal(0, 0.1, (1, rounds))  # what a round does to everyone must not matter
        found = simultaneous_differences(noise(rng, (rows, rounds)) + drift)
        covered += all(low <= 0 <= high for _, low, high in found)
        false_winners += any(low > 0 for _, low, _ in found)
    # 0.95 less three standard errors of the simulation
    assert covered / RUNS > 0.95 - 3 * (0.95 * 0.05 / RUNS) ** 0.5
    assert false_winners / RUNS < 0.06


def test_a_real_gain_is_found_mostly():
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(RUNS):
        values = rng.normal(0, NOISE, (3, 3))
        values[1] += np.log(1.2)
        found += simultaneous_differences(values)[0][1] > 0
    assert found / RUNS > 0.9


def test_same_values_give_the_same_interval():
    values = np.random.default_rng(1).normal(0, NOISE, (3, 4))
    assert simultaneous_differences(values) == simultaneous_differences(values.copy())


def test_without_noise_the_interval_is_a_point():
    assert simultaneous_differences(np.array([[1.0, 2.0, 3.0], [1.5, 2.5, 3.5]])) == [(0.5, 0.5, 0.5)]


@pytest.mark.parametrize("shape", [(1, 5), (3, 2)])
def test_too_little_for_an_interval(shape):
    with pytest.raises(ValueError, match="no interval"):
        simultaneous_differences(np.zeros(shape))


def test_risk_is_calibrated():
    """Of runs said to break the SLO with a chance of about p, a share of about p does."""
    rng = np.random.default_rng(2)
    said, came = [], []
    for _ in range(4000):
        mean = rng.uniform(-0.6, 0.6)  # wide, so that no outcome is likelier beforehand
        *seen, following = rng.normal(mean, 0.1, 4)
        said.append(risk_above_zero([float(value) for value in seen]))
        came.append(following > 0)
    said, came = np.array(said), np.array(came)
    for low, high in [(0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1)]:
        within = (said >= low) & (said < high)
        assert abs(said[within].mean() - came[within].mean()) < 0.05


def test_risk_at_the_edges():
    assert risk_above_zero([0.1]) is None
    assert risk_above_zero([-1.0, -1.0, -1.0]) == 0
    assert risk_above_zero([0.2, 0.2]) == 1
