"""Distributions are exact while few, and within their resolution however many; memory stays flat."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.spec import distribution
from servelab.spec.distribution import Distribution

PERCENTS = (0, 1, 50, 90, 99, 99.9, 100)
SECONDS = st.floats(min_value=0, max_value=1e5)


@given(st.lists(SECONDS, min_size=1))
def test_few_values_are_exact(values):
    found = Distribution(values)
    assert found.exact
    np.testing.assert_allclose(list(found.quantiles(PERCENTS)), np.percentile(values, PERCENTS), atol=1e-9)
    assert (len(found), found.quantile(0), found.quantile(100)) == (len(values), min(values), max(values))
    assert found.mean == pytest.approx(np.mean(values))


@given(st.lists(st.floats(min_value=1e-6, max_value=1e5), min_size=1), st.integers(min_value=0, max_value=100))
def test_many_values_are_within_the_resolution(values, percent):
    found = Distribution(values)
    found._values = None
    assert found.quantile(percent) == pytest.approx(np.percentile(values, percent), rel=1.3e-4)


@given(st.lists(SECONDS), st.lists(SECONDS), st.integers(min_value=0, max_value=12))
def test_merging_loses_nothing(one, other, exact):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distribution, "EXACT", exact)
        merged, whole = Distribution(one), Distribution(one + other)
        merged.merge(Distribution(other))
        assert len(merged) == len(whole)
        assert merged.mean == pytest.approx(whole.mean)
        rounding = 1e-6 * max(one + other, default=0.0)  # of sums of squares that nearly cancel
        assert merged.deviation == pytest.approx(whole.deviation, abs=rounding)
        assert merged._buckets == whole._buckets
        np.testing.assert_allclose(list(merged.quantiles(PERCENTS)), list(whole.quantiles(PERCENTS)), rtol=3e-4)


@given(st.lists(SECONDS), st.integers(min_value=0, max_value=12))
def test_what_a_process_tells_another_is_all_of_it(values, exact):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distribution, "EXACT", exact)
        whole = Distribution(values)
        told = Distribution.of(json.loads(json.dumps(whole.state())))
        assert told.exact == whole.exact == (len(values) <= exact)
        assert list(told.quantiles(PERCENTS)) == list(whole.quantiles(PERCENTS))
        assert (len(told), told.mean, told.deviation) == (len(whole), whole.mean, whole.deviation)


def test_nothing_has_no_quantiles():
    assert Distribution().quantile(50) == 0
    assert not Distribution()


def test_memory_is_flat():
    """Of 200,000 requests here; `make bench-harness` has two million."""
    command = [sys.executable, "-m", "benchmarks.harness.memory", "200000"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert found["requests"] == 200_000
    assert found["most"] < 150e6
    assert found["most"] - found["before"] < 60e6
