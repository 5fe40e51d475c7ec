"""The benchmark of harnesses: all are tried as often, and where another one is closer to the truth it is said."""

from __future__ import annotations

import pytest

from benchmarks.harness import cases
from benchmarks.harness.cases import Found, Row
from benchmarks.harness.table import lines
from servelab.harnesses.builtin.known import Schedule
from servelab.harnesses.builtin.selftest import Case, Truth
from servelab.harnesses.external.environments import find
from servelab.harnesses.external.recipes import RECIPES

CASE = Case(Schedule(ttft=0.05, itl=0.02, per=4), 16, 32, 128)


def found(**bias: float) -> Found:
    truth = Truth({"ttft_p99": 0.05, "tpot_p50": 0.02, "tpot_p99": 0.02}, 1.0, 128.0, 0.0)
    return Found(CASE, {}, truth, bias, first_request=0.1, cpu=1.0, memory=1e6)


@pytest.fixture
def rows(tmp_path, monkeypatch) -> tuple[Row, Row]:
    """builtin, and a peer that is there as far as the table is concerned."""
    recipe = RECIPES["guidellm"]
    program = tmp_path / recipe.program
    program.write_text("#!/bin/sh\necho 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    peer = find(recipe)
    assert peer is not None
    return Row("builtin"), Row("guidellm", peer)


def test_all_are_tried_as_often(rows, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(cases, "_measure", lambda name, case, limit: asked.append(name) or found())
    for row in rows:
        assert len(cases._tried(row, CASE, 3)) == 1
    assert asked == ["builtin"] * 3 + ["guidellm"] * 3


def test_where_another_one_is_closer_is_said(rows):
    own, peer = rows
    own.matrix = [found(ttft_p99=0.001, tpot_p99=0.000019, itl_mean=0.1)]
    peer.matrix = [found(ttft_p99=-0.02, tpot_p99=-0.000016, itl_mean=0.0)]
    said = [line for line in lines([own, peer], None) if line.startswith("- ")]
    assert said == ["- TPOT p99, 16 streams, 4 a chunk: +0.019, guidellm -0.016"]
    peer.matrix = [found(tpot_p99=0.00002)]
    assert "- nowhere" in lines([own, peer], None)
