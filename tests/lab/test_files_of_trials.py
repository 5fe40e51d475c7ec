"""Logs and records are read with bounds, and never from elsewhere than where they belong."""

from __future__ import annotations

import gzip
import json

import pytest

from servelab.lab.logs import engine_log_file, log_tail
from servelab.lab.paths import measurement_directory, trial_directory
from servelab.lab.records import first_requests, records_file
from servelab.spec.errors import NotFoundError, StoreError
from tests.store.test_studies import REPORT, measured


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_HOME", str(tmp_path))
    return tmp_path


def test_the_tail_of_a_log_is_whole_lines_within_bounds():
    directory = trial_directory("s", 3)
    directory.mkdir(parents=True)
    lines = [f"line {number} äöü" for number in range(1000)]
    (directory / "engine-100.log").write_text("\n".join(lines), encoding="utf-8")
    tail = log_tail("s", 3, 500)
    assert len(tail.encode()) <= 500
    assert lines[-len(tail.splitlines()) :] == tail.splitlines()
    assert log_tail("s", 3, 10**6).splitlines() == lines
    assert engine_log_file("s", 3).name == "engine-100.log"


def test_a_line_that_is_longer_than_the_bound_is_cut():
    directory = trial_directory("s", 0)
    directory.mkdir(parents=True)
    (directory / "engine-1.log").write_text("x" * 1000)
    assert log_tail("s", 0, 100) == "x" * 100


def test_where_there_is_no_log_it_is_said():
    assert log_tail("s", 9) == ""
    with pytest.raises(NotFoundError, match="trial 9 of s has no engine log on this machine"):
        engine_log_file("s", 9)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", "a/b", None])
def test_records_are_never_taken_from_elsewhere(home, name):
    (home / "secret").write_text("x")
    place = measurement_directory(trial_directory("s", 0), "full", 0, 0)
    place.mkdir(parents=True)
    made = measured().model_copy(update={"report": REPORT.model_copy(update={"records": name})})
    with pytest.raises(NotFoundError):
        records_file("s", 0, made)


def test_the_first_requests_are_those_that_were_meant_to_be_sent_first(tmp_path):
    path = tmp_path / "records.jsonl.gz"
    common = {"error": None, "prompt_tokens": 1, "output_tokens": 2, "chunks": 2, "reasoning_chunks": 0}
    times = [{"intended": t, "sent": t, "first": t + 0.1, "last": t + 0.2, "end": t + 0.3} for t in (2.0, 0.5, 1.0)]
    path.write_bytes(gzip.compress("".join(json.dumps(common | one) + "\n" for one in times).encode()))
    found, total = first_requests(path, 2)
    assert [request.intended for request in found] == [0.5, 1.0]
    assert total == 3
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match="cannot be read"):
        first_requests(path, 2)


@pytest.mark.parametrize("damaged", [gzip.compress(b"[]\n"), gzip.compress(b"{}\n" * 100)[:12] + b"\xff" * 30])
def test_damaged_records_are_told(tmp_path, damaged):
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match="cannot be read"):
        first_requests(path, 2)
