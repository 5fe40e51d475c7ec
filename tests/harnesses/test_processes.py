"""Several processes make one load and one report of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.harnesses.builtin.shares import shares
from servelab.harnesses.builtin.task import Line
from servelab.harnesses.builtin.window import MOST_BATCHES, Settling
from servelab.spec.arrivals import due_times
from servelab.spec.errors import MeasureError
from servelab.spec.load import LoadPoint
from servelab.spec.report import Report
from tests.harnesses.again import again
from tests.harnesses.test_measure import concurrency, measure, workers, workload

QUICK = "ttft=0.01,itl=0.002"
TWO = {"processes": 2}
COUNTS = st.integers(min_value=1, max_value=50)


def records(directory: Path) -> list[dict]:
    with gzip.open(directory / "records.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


@given(COUNTS, COUNTS, st.integers(min_value=0, max_value=9), st.integers(min_value=1, max_value=8))
def test_a_closed_load_is_split_without_rest(streams, requests, warmup, processes):
    load = LoadPoint(kind="concurrency", level=streams, requests=requests, warmup=warmup)
    found = shares(load, 512, processes)
    assert len(found) <= processes
    assert sum(share.load.level for share in found) == streams
    assert sum(share.requests for share in found) == requests
    assert all(share.load.level >= 1 and share.requests >= 1 for share in found)
    assert all(bool(share.load.warmup) == bool(warmup) for share in found)


@given(COUNTS, COUNTS, st.integers(min_value=1, max_value=8))
def test_arrivals_are_dealt_out_without_rest(requests, most, processes):
    load = LoadPoint(kind="poisson", level=7, requests=requests)
    found = shares(load, most, processes)
    assert sum(share.max_concurrency for share in found) == most
    assert sum(share.requests for share in found) == requests
    dealt = [number for share in found for number in range(requests) if share.has(number)]
    assert sorted(dealt) == list(range(requests))


@given(COUNTS, st.integers(min_value=1, max_value=8))
def test_no_two_requests_have_one_number(requests, processes):
    found = shares(LoadPoint(kind="concurrency", level=64, requests=500), 512, processes)
    numbers = [share.number(index) for share in found for index in range(-requests, requests)]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) == set(range(-requests * len(found), requests * len(found)))


@again
async def test_the_report_is_that_of_all_records(server, tmp_path):
    report = await measure(server, QUICK, concurrency(5, 41, warmup=1), tmp_path, options=TWO)
    seen = server.seen()
    kept = records(tmp_path)
    assert report.requests == len(kept) == 41
    assert report.errors == {}
    ttfts = [one["first"] - one["intended"] for one in kept]
    tpots = [(one["last"] - one["first"]) / (one["output_tokens"] - 1) for one in kept]
    for name, values in (("ttft", ttfts), ("tpot", tpots)):
        for label, percent in (("p50", 50), ("p99", 99), ("max", 100)):
            assert report.metrics[f"{name}_{label}"] == pytest.approx(np.percentile(values, percent), abs=2e-6)
        assert report.metrics[f"{name}_mean"] == pytest.approx(np.mean(values), abs=2e-6)
    assert report.duration == pytest.approx(max(one["end"] for one in kept), abs=2e-6)
    assert report.metrics["concurrency"] == pytest.approx(5, abs=1.5)
    assert len({one["prompt"] for one in seen}) == len(seen) - 1, "all differ but the two processes' first questions"
    assert list(tmp_path.iterdir()) == [tmp_path / "records.jsonl.gz"]


@again
async def test_together_they_make_the_arrivals_of_one(server, tmp_path):
    load = LoadPoint(kind="poisson", level=60, requests=45, warmup=2)
    report = await measure(server, QUICK, load, tmp_path, options=TWO, seed=3)
    due = list(due_times(load, random.Random(f"{workload().seed}/3/arrivals")))
    assert sorted(one["intended"] for one in records(tmp_path)) == pytest.approx(due, abs=2e-6)
    assert report.client.asked_rate == pytest.approx(45 / due[-1])
    whens = sorted(one["when"] for one in server.seen()[-45:])
    assert np.diff(whens).sum() == pytest.approx(due[-1] - due[0], abs=0.1)


async def test_errors_of_all_are_counted(server, tmp_path):
    report = await measure(server, f"{QUICK},fault=reset,every=4", concurrency(4, 40), tmp_path, options=TWO)
    assert report.requests == 40
    assert 5 < report.errors["reset"] < 15
    assert sum(report.errors.values()) + len([r for r in records(tmp_path) if r["error"] is None]) == 40


async def test_a_killed_process_is_named_and_takes_the_others_with_it(server, tmp_path):
    async def kill() -> None:
        while len(workers()) < 2:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        os.kill(max(child.pid for child in workers()), signal.SIGKILL)

    async def measured() -> Report:
        return await measure(server, "ttft=0.2", concurrency(4, 100_000), tmp_path, options=TWO)

    with pytest.raises(MeasureError, match=r"process [12] of 2 of the load generator was ended by signal 9"):
        await asyncio.gather(measured(), kill())
    assert workers() == []


def test_batches_of_several_processes_are_put_in_order():
    whole, one, other = Settling(), Settling(), Settling()
    for number in range(4000):
        ttft = 5.0 - number / 300 if number < 1000 else 1.0
        whole.add(ttft, number * 0.01)
        (one if number % 2 else other).add(ttft, number * 0.01)
    one.merge(other)
    assert len(one.means) < MOST_BATCHES
    assert one.steady_from == pytest.approx(whole.steady_from, rel=0.05)


LONG = 1_000_000
SAYS_MUCH = f"""
import asyncio, uvloop
from servelab.harnesses.builtin.__main__ import say
from servelab.harnesses.builtin.task import Line
uvloop.run(asyncio.sleep(0.01))
say(Line(failure="x" * {LONG}))
"""


def test_a_long_line_arrives_whole():
    """Not so with ``print``: see ``say``."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SAYS_MUCH]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as child:
        time.sleep(1.0)  # until the pipe is full
        assert child.stdout is not None
        assert Line.model_validate_json(child.stdout.read()).failure == "x" * LONG
