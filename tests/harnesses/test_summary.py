"""A tally's numbers are those that anybody computes from the records by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.harnesses.builtin.record import Record
from servelab.harnesses.builtin.summary import Tally
from servelab.harnesses.builtin.window import Window
from servelab.spec.goal import RequestSLO

SLO = RequestSLO(ttft=0.2, tpot=0.05, e2e=1.0)


def one(sent: float, chunks: list[float], tokens: int, intended: float | None = None, error: str | None = None):
    """A record, and its token and chunk intervals; chunks in seconds after the sending."""
    times = [] if error else [sent + chunk for chunk in chunks]
    end = times[-1] if times else sent + 0.5
    due = sent if intended is None else intended
    record = Record(
        due, sent, end, error, times[0] if times else None, times[-1] if times else None, 10, tokens, len(times), 0
    )
    intervals = [b - a for a, b in pairwise(times)]
    return record, [interval / max(1.0, tokens / max(1, len(times))) for interval in intervals], intervals


def test_by_hand():
    """Three answers and a failure in 2 s: one token a chunk; two tokens a chunk; sent 0.3 s late."""
    tally = Tally(SLO)
    tally.add(*one(0.0, [0.1, 0.14, 0.18], tokens=3))  # keeps all
    tally.add(*one(0.5, [0.1, 0.3], tokens=4))  # TPOT 0.2 / (4 - 2) = 0.1: misses
    tally.add(*one(1.0, [0.1, 0.14], tokens=2, intended=0.7))  # TTFT 0.4: misses; E2E 0.44
    tally.add(*one(1.5, [], tokens=0, error="reset"))
    found = tally.metrics()
    expected = {
        "request_throughput": 3 / 2,
        "output_throughput": 9 / 2,
        "total_throughput": 39 / 2,
        "error_rate": 1 / 4,
        "goodput": 1 / 2,
        "goodput_ratio": 1 / 4,
        "goodput_ratio_ttft": 2 / 4,
        "goodput_ratio_tpot": 2 / 4,
        "goodput_ratio_e2e": 3 / 4,
        "concurrency": (0.18 + 0.3 + 0.14 + 0.5) / 2,  # Little's law
        "ttft_mean": 0.2,
        "ttft_p50": 0.1,
        "ttft_p90": 0.1 + 0.3 * 0.8,
        "ttft_max": 0.4,
        "ttft_sent_max": 0.1,
        "e2e_max": 0.44,
        "e2e_sent_max": 0.3,
        "tpot_mean": (0.04 + 0.1 + 0.04) / 3,
        "itl_mean": (0.04 + 0.04 + 0.1 + 0.04) / 4,
        "chunk_interval_mean": (0.04 + 0.04 + 0.2 + 0.04) / 4,
        "schedule_delay_mean": 0.3 / 4,
        "schedule_delay_max": 0.3,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert tally.errors == {"reset": 1}


def test_rates_are_those_of_the_window_where_it_is_long_enough():
    tally = Tally(SLO)
    for number in range(10):
        tally.add(*one(number, [0.1, 0.2], tokens=2))
    assert tally.metrics(windows=[Window(4.0, 16, 40, 8)])["request_throughput"] == 2
    assert tally.metrics(windows=[Window(4.0, 16, 40, 8)])["total_throughput"] == 14
    assert tally.metrics(windows=[Window(2.0, 16, 40, 8)])["request_throughput"] == pytest.approx(10 / 9.2)
    assert tally.metrics(windows=[Window(4.0, 16, 40, 8), Window(5.0, 20, 50, 10)])["output_throughput"] == 8


DURATIONS = st.floats(min_value=1e-4, max_value=10)
RECORDS = st.lists(
    st.builds(
        one,
        sent=st.floats(min_value=0, max_value=100),
        chunks=st.lists(DURATIONS, min_size=1, max_size=6).map(lambda gaps: list(np.cumsum(gaps))),
        tokens=st.integers(min_value=6, max_value=40),
        error=st.sampled_from([None, None, None, "reset", "timeout"]),
    ),
    min_size=1,
    max_size=40,
)


@given(RECORDS, st.lists(st.integers(min_value=0, max_value=3), min_size=40, max_size=40))
def test_several_processes_say_what_one_would(records, owners):
    whole, parts = Tally(SLO), [Tally(SLO) for _ in range(4)]
    for record, owner in zip(records, owners, strict=False):
        whole.add(*record)
        parts[owner].add(*record)
    merged, *others = parts
    for other in others:
        merged.merge(other)
    assert merged.metrics() == pytest.approx(whole.metrics())
    assert merged.quantiles() == whole.quantiles()
    assert merged.errors == whole.errors
    for name, interval in merged.intervals().items():
        assert interval == pytest.approx(whole.intervals()[name])
    assert sum(merged.errors.values()) + merged.succeeded == merged.requests == len(records)


@given(RECORDS)
def test_percentiles_are_numpys_and_lie_in_their_intervals(records):
    tally = Tally(SLO)
    for record in records:
        tally.add(*record)
    whole = [record for record, _, _ in records if record.error is None]
    found, intervals = tally.metrics(), tally.intervals()
    for name, values in (
        ("ttft", [record.ttft for record in whole]),
        ("e2e", [record.e2e for record in whole]),
        ("tpot", [record.tpot for record in whole if record.tpot is not None]),
        ("itl", [gap for record, gaps, _ in records if record.error is None for gap in gaps]),
    ):
        for percent in (50, 90, 95, 99):
            if values:
                assert found[f"{name}_p{percent}"] == pytest.approx(np.percentile(values, percent))
    for name, (low, high) in intervals.items():
        assert low - 1e-9 <= found[name] <= high + 1e-9
    assert ("ttft_p50" in intervals) == (len(whole) >= 6)
    assert ("ttft_p90" in intervals) == (len(whole) >= 36)
    assert not {"ttft_p95", "ttft_p99", "ttft_max"} & intervals.keys()
