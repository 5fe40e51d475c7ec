"""The server of known schedule keeps to it, and the builtin harness is held against it."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import pytest

from servelab.harnesses.base import harness
from servelab.harnesses.builtin.known import Schedule, parse_schedule
from servelab.harnesses.builtin.selftest import Case, Outcome, ServerProcess, biases, slope, summarise
from servelab.lab import doctor
from tests.harnesses.again import again


def measured(case: Case, directory: Path):
    with ServerProcess() as server:
        report = asyncio.run(harness("builtin", {}).measure(case.job(server.url, directory, ()), lambda progress: None))
        return report, server.truth(case)


def test_a_schedule_is_its_path():
    schedule = Schedule(ttft=0.05, itl=0.02, per=4, jitter=0.5, seed=3)
    assert parse_schedule(f"{schedule.path}/v1/completions") == schedule
    assert parse_schedule("/v1/completions") == Schedule()


@again
def test_the_server_keeps_to_its_schedule_and_builtin_reports_it(tmp_path):
    case = Case(Schedule(ttft=0.05, itl=0.01, role=1), streams=4, requests=12, tokens=16)
    report, truth = measured(case, tmp_path)
    assert truth.metrics["ttft_p50"] == pytest.approx(0.05, abs=0.01)
    assert truth.metrics["tpot_p50"] == pytest.approx(0.01, abs=0.002)
    assert report.errors == {}
    bias = biases(report.metrics, truth)
    assert -0.002 < bias["ttft_p50"] < 0.02, "a role-only chunk stops no clock"
    assert abs(bias["tpot_p50"]) < 0.002
    assert truth.first_contact > 0


@again
def test_chunks_and_tokens_are_told_apart(tmp_path):
    report, truth = measured(Case(Schedule(ttft=0.02, itl=0.01, per=4), 2, 10, 32), tmp_path)
    assert report.server["tokens_per_chunk"] == 4
    assert report.metrics["chunk_interval_p50"] == pytest.approx(0.04, abs=0.01)
    assert report.metrics["itl_p50"] == pytest.approx(0.01, abs=0.0025)
    assert report.metrics["tpot_p50"] == pytest.approx(truth.metrics["tpot_p50"], abs=0.002)


@again
def test_jitter_is_the_seeds(tmp_path):
    case = Case(Schedule(itl=0.01, jitter=0.5, seed=1), 2, 10, 16)
    report, truth = measured(case, tmp_path)
    assert truth.metrics["itl_p95"] > 0.013
    assert truth.metrics["itl_mean"] == pytest.approx(0.01, abs=0.002)
    assert report.metrics["itl_p95"] == pytest.approx(truth.metrics["itl_p95"], abs=0.006)


def test_clients_that_do_not_stream_are_answered():
    body = b'{"prompt": "a b", "max_tokens": 3}'
    with ServerProcess() as server:
        with urllib.request.urlopen(f"{server.url}/v1/completions", body, timeout=120) as answer:
            assert b'" word word word"' in answer.read()
        with urllib.request.urlopen(f"{server.url}/v1/models", timeout=120) as answer:
            assert b"known" in answer.read()


def test_truth_is_of_what_was_sent():
    case = Case(Schedule(per=2), streams=1, requests=1, tokens=6)
    truth = summarise([[1.0, 1.5, 1.7, 1.9]], case, 1.0)
    assert truth.metrics["ttft_p50"] == 0.5
    assert truth.metrics["tpot_mean"] == pytest.approx(0.1)
    assert truth.metrics["itl_p99"] == pytest.approx(0.1)
    assert truth.metrics["e2e_p50"] == pytest.approx(0.9)
    assert truth.token_rate == pytest.approx(6 / 0.9)


def test_slope_is_that_of_least_squares():
    assert slope({1: 3.0, 2: 5.0, 5: 11.0}) == pytest.approx(2.0)


def test_doctor_names_the_most_streams_that_went_well(monkeypatch):
    late = {1: 0.01, 4: 0.0, 16: 0.0, 64: 0.01}

    async def measure(streams):
        bias = {"ttft_p50": late[streams], "ttft_p99": late[streams], "itl_mean": 0.0}
        return Outcome(streams, bias, tpot_error=0.0, cpu=None)

    monkeypatch.setattr(doctor, "STREAMS", tuple(late))
    monkeypatch.setattr(doctor, "measure", measure)
    lowest, *good, highest, _ = doctor.examine_harness()
    assert [one.verdict for one in good] == ["ok", "ok"]
    assert lowest.remedy == "End other work on this machine, or give it more cores."
    assert highest.remedy.endswith("or measure with no more than 16 streams.")


def test_doctor_gives_a_verdict(monkeypatch):
    monkeypatch.setattr(doctor, "STREAMS", (1, 4))
    found = list(doctor.examine_harness())
    assert [one.check for one in found] == ["harness at 1", "harness at 4", "harness slope"]
    assert all("TTFT" in one.text for one in found[:2])
