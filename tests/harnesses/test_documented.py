"""docs/measuring.md explains every name that a report of builtin can contain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from servelab.engines.base import engine
from servelab.harnesses.builtin.http import ExchangeError
from servelab.harnesses.builtin.record import Record
from servelab.harnesses.builtin.stream import AnswerError
from servelab.spec.goal import RequestSLO
from servelab.spec.metrics import STATISTICS, metric_names
from servelab.spec.plugins import plugin_names
from servelab.spec.report import ClientHealth, Report
from tests.harnesses.test_faults import literals
from tests.harnesses.test_measure import concurrency, measure

DOCUMENT = (Path(__file__).parents[2] / "docs" / "measuring.md").read_text(encoding="utf-8")
EXPLAINED = set(re.findall(r"`([a-z0-9_]+)`", DOCUMENT))


def without_statistic(name: str) -> str:
    base, _, last = name.rpartition("_")
    return base if base and last in STATISTICS else name


def test_every_metric_is_explained():
    assert {without_statistic(name) for name in metric_names()} - EXPLAINED == set()


def test_every_kind_of_error_is_explained():
    assert {*literals(ExchangeError), *literals(AnswerError)} - EXPLAINED == set()


def test_what_is_said_of_client_and_requests_is_explained():
    assert set(ClientHealth.model_fields) - {"reasons"} - EXPLAINED == set()
    assert set(Record._fields) - EXPLAINED == set()


def test_what_servers_tell_is_explained():
    told = {name for one in plugin_names("servelab.engines") for name in engine(one).server_metrics}
    assert told - EXPLAINED == set()


async def test_a_whole_report_holds_nothing_else(server, tmp_path):
    report = await measure(
        server,
        "ttft=0.01,itl=0.001,per=2,fault=reset,every=5",
        concurrency(4, 40, warmup=1),
        tmp_path,
        request_slo=RequestSLO(ttft=1000, tpot=1000, e2e=0.001),
        server_metrics={"running": "stub:running"},
    )
    told = {*map(without_statistic, report.metrics), *report.server, *report.intervals.keys() - report.metrics.keys()}
    assert told - EXPLAINED == set()
    assert {"steady_from", "quantiles", "intervals"} <= set(Report.model_fields) & EXPLAINED
    metrics = report.metrics
    assert (metrics["goodput_ratio_e2e"], metrics["goodput_ratio"], metrics["goodput"]) == (0, 0, 0)
    assert metrics["goodput_ratio_ttft"] == metrics["goodput_ratio_tpot"] == pytest.approx(1 - metrics["error_rate"])
    assert set(report.intervals) >= {"goodput_ratio_e2e", "goodput_ratio"}
