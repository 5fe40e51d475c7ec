"""The builtin harness measures a server whose schedule is known."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil
import pytest
from llmd_benchmark_report.schema_v0_2 import BenchmarkReportV02

from servelab.harnesses.base import Job, Progress, harness
from servelab.spec.deployment import Deployment
from servelab.spec.errors import DocumentError, MeasureError, NotFoundError
from servelab.spec.load import LoadPoint
from servelab.spec.metrics import metric_names
from servelab.spec.report import Report
from servelab.spec.workload import Workload
from tests.harnesses.again import again

STUB = Path(__file__).with_name("stub.py")


class Server:
    """The stub, and what it has seen."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def seen(self) -> list[dict]:
        """All generations since the last question."""
        with urllib.request.urlopen(f"{self.url}/stub", timeout=120) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def process() -> Iterator[Server]:
    """One stub for all tests."""
    with subprocess.Popen([sys.executable, STUB, "0"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield Server(int(child.stdout.readline()))
        child.kill()


@pytest.fixture
def server(process: Server) -> Server:
    """The stub, with nothing seen yet."""
    process.seen()
    return process


def workers() -> list[psutil.Process]:
    """The processes of the load generator that run."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if "servelab.harnesses.builtin" in child.cmdline():
                found.append(child)
    return found


def workload(**changes) -> Workload:
    return Workload.model_validate({"prompt": 30, "output": 8} | changes)


def concurrency(level: float, requests: int = 20, warmup: int = 0, **changes) -> LoadPoint:
    return LoadPoint(kind="concurrency", level=level, requests=requests, warmup=warmup, **changes)


async def measure(server: Server, play: str, load: LoadPoint, directory: Path, **changes) -> Report:
    """Measure the stub, as it plays ``play``."""
    options = changes.pop("options", {})
    told = changes.pop("told", [])
    deployment = Deployment(
        url=f"{server.url}/{play}", metrics_url=f"{server.url}/metrics", model="stub", engine="stub", simulated=True
    )
    job = Job(
        **({"deployment": deployment, "workload": workload(), "seed": 1} | changes), load=load, directory=directory
    )
    return await harness("builtin", options).measure(job, told.append)


async def test_what_is_asked_for_is_sent_and_counted(server, tmp_path):
    told: list[Progress] = []
    report = await measure(server, "itl=0.02", concurrency(4, 40, warmup=2), tmp_path, told=told)
    seen = server.seen()
    assert report.requests == 40
    assert report.errors == {}
    assert report.metrics["error_rate"] == 0
    assert len(seen) == 1 + 4 + 40, "a probe, a request of warm-up per stream, and those that count"
    assert {len(one["prompt"].split()) for one in seen[1:]} == {30}
    assert {one["max_tokens"] for one in seen[1:]} == {8}
    assert all(one["body"]["ignore_eos"] and one["body"]["stream"] for one in seen)
    assert set(report.metrics) <= set(metric_names())
    assert {len(quantiles) for quantiles in report.quantiles.values()} == {101}
    assert told
    assert all(0 <= progress.done <= progress.total == 1 for progress in told)
    lines = gzip.decompress((tmp_path / report.records).read_bytes()).decode().splitlines()
    assert len(lines) == 40
    assert {json.loads(line)["output_tokens"] for line in lines} == {8}


@again
async def test_latencies_are_the_schedules(server, tmp_path):
    report = await measure(server, "ttft=0.1,itl=0.03", concurrency(2, 14), tmp_path)
    found = report.metrics
    assert 0.1 <= found["ttft_p50"] < 0.16
    assert 0.025 <= found["itl_p50"] < 0.045
    assert 0.029 <= found["tpot_p50"] < 0.045
    assert 0.1 + 7 * 0.03 <= found["e2e_p50"] < 0.45
    assert found["ttft_p50"] <= found["ttft_p95"] <= found["ttft_max"]
    assert found["output_throughput"] == pytest.approx(8 * found["request_throughput"], rel=0.25)


@again
async def test_a_chunk_of_several_tokens_counts_as_several(server, tmp_path):
    report = await measure(
        server, "ttft=0.02,itl=0.06,per=4", concurrency(2, 14), tmp_path, workload=workload(output=16)
    )
    assert 0.0145 <= report.metrics["itl_p50"] < 0.022, "60 ms for four tokens"
    assert report.server["tokens_per_chunk"] == 4
    lines = gzip.decompress((tmp_path / report.records).read_bytes()).decode().splitlines()
    assert {(json.loads(line)["output_tokens"], json.loads(line)["chunks"]) for line in lines} == {(16, 4)}


@again
async def test_a_role_only_chunk_is_no_token(server, tmp_path):
    report = await measure(server, "role=1,ttft=0.15", concurrency(1, 10), tmp_path, workload=workload(api="chat"))
    assert report.errors == {}
    assert 0.15 <= report.metrics["ttft_p50"] < 0.25
    assert {len(one["prompt"].split()) for one in server.seen()[1:]} == {25}, "five tokens are the template's"


@again
async def test_latency_counts_from_the_intended_time_when_the_server_stalls(server, tmp_path):
    load = LoadPoint(kind="constant", level=20, requests=40)
    report = await measure(server, "ttft=0.005,at=11,stall=1", load, tmp_path, max_concurrency=2)
    # Due every 50 ms while nothing is answered for a second: about half of the requests wait for long.
    assert report.requests == 40
    assert report.metrics["ttft_max"] > 0.85
    assert report.metrics["ttft_p50"] > 0.15, "a client that waits politely would see two slow requests"
    assert report.metrics["schedule_delay_max"] > 0.5
    assert report.client.verdict == "saturated"
    assert any("since max_concurrency were in flight" in reason for reason in report.client.reasons)
    assert report.client.capped
    assert not report.client_bound, "it is the server that was late"


@again
async def test_arrivals_come_at_the_rate_asked_for(server, tmp_path):
    load = LoadPoint(kind="constant", level=40, requests=40, warmup=3)
    report = await measure(server, "ttft=0.005,itl=0.001", load, tmp_path)
    when = [one["when"] for one in server.seen()[4:]]
    assert len(when) == 40
    assert 39 / (when[-1] - when[0]) == pytest.approx(40, rel=0.15)
    assert report.metrics["request_throughput"] == pytest.approx(40, rel=0.25)


@again
async def test_poisson_arrivals_are_the_seeds(server, tmp_path):
    load = LoadPoint(kind="poisson", level=50, requests=30)
    gaps = []
    for seed in (1, 1, 2):
        await measure(server, "ttft=0.005,itl=0.001", load, tmp_path, seed=seed)
        when = [one["when"] for one in server.seen()[1:]]
        gaps.append([b - a for a, b in pairwise(when)])
    # The median: a machine that stalls for a moment moves a few gaps.
    difference = [median(abs(a - b) for a, b in zip(gaps[0], other, strict=True)) for other in gaps[1:]]
    assert difference[0] < difference[1] / 2


@again
async def test_time_ends_a_measurement_too(server, tmp_path):
    began = time.monotonic()
    report = await measure(server, "ttft=0.01", LoadPoint(kind="concurrency", level=2, seconds=0.7), tmp_path)
    assert time.monotonic() - began < 15
    assert report.requests > 10
    assert 0.5 < report.duration < 3


@again
async def test_the_concurrency_asked_for_is_achieved(server, tmp_path):
    report = await measure(server, "ttft=0.05,itl=0.01", concurrency(8, 80, warmup=1), tmp_path)
    assert report.metrics["concurrency"] == pytest.approx(8, abs=0.8)


@again
async def test_as_fast_as_possible_keeps_to_what_it_can_fill(server, tmp_path):
    load = LoadPoint(kind="throughput", level=512, requests=20)
    report = await measure(server, "ttft=0.05", load, tmp_path)
    assert report.requests == 20
    assert 3 < report.metrics["concurrency"] <= 5.1


FAULTS = {
    "reset": "reset",
    "bad_json": "bad_json",
    "half": "half_stream",
    "http_429": "http_429",
    "http_500": "http_500",
    "empty": "empty",
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.items())
async def test_every_fault_is_counted_by_its_name(server, tmp_path, fault, kind):
    report = await measure(server, f"fault={fault},every=3", concurrency(3, 30), tmp_path)
    assert set(report.errors) == {kind}
    assert report.errors[kind] == 10
    assert report.requests == 30
    assert report.metrics["error_rate"] == pytest.approx(1 / 3)
    assert report.metrics["goodput_ratio"] == pytest.approx(2 / 3)
    assert any(f"10 of 30 requests failed (10 {kind})" in warning for warning in report.warnings)
    assert not report.trusted
    lines = [json.loads(x) for x in gzip.decompress((tmp_path / report.records).read_bytes()).decode().splitlines()]
    assert [line["error"] for line in lines].count(kind) == 10


@pytest.mark.parametrize("fault", ["http10", "close", "no_usage", "whole"])
async def test_odd_answers_are_no_fault(server, tmp_path, fault):
    report = await measure(server, f"fault={fault},every=2,per=2", concurrency(3, 20), tmp_path)
    assert report.errors == {}
    assert report.requests == 20


async def test_without_usage_chunks_are_tokens(server, tmp_path):
    report = await measure(server, "fault=no_usage", concurrency(2, 12), tmp_path)
    lines = gzip.decompress((tmp_path / report.records).read_bytes()).decode().splitlines()
    assert {json.loads(line)["output_tokens"] for line in lines} == {8}
    assert report.server["tokens_per_chunk"] == 1


@pytest.mark.parametrize(("fault", "word"), [("http_500", "as asked for"), ("empty", "empty"), ("reset", "reset")])
async def test_a_server_that_answers_nothing_cannot_be_measured(server, tmp_path, fault, word):
    with pytest.raises(MeasureError, match=word) as caught:
        await measure(server, f"fault={fault}", concurrency(2), tmp_path)
    assert "does not answer a small request" in caught.value.message
    assert caught.value.remedy


async def test_a_server_that_is_not_there_cannot_be_measured(tmp_path):
    with pytest.raises(MeasureError, match="connect_refused"):
        await measure(Server(9), "x", concurrency(2), tmp_path)


@again
async def test_a_late_answer_is_a_timeout(server, tmp_path):
    # The probe has a longer patience than the requests have.
    with pytest.raises(MeasureError, match=r"requests all failed \(timeout"):
        await measure(server, "ttft=2", concurrency(10), tmp_path, options={"request_timeout": "200ms"})


async def test_prompts_are_unique_and_the_seeds(server, tmp_path):
    prompts = []
    for seed in (1, 1, 2):
        await measure(server, "itl=0.001", concurrency(1, 12), tmp_path, seed=seed)
        prompts.append([one["prompt"] for one in server.seen()[1:]])
    assert len(set(prompts[0])) == 12
    assert prompts[0] == prompts[1]
    assert not set(prompts[0]) & set(prompts[2])


async def test_a_shared_prefix_is_shared(server, tmp_path):
    shared = workload(prefix={"tokens": 50, "groups": 3})
    for seed in (1, 2):
        await measure(server, "itl=0.001", concurrency(1, 12), tmp_path, workload=shared, seed=seed)
    words = [one["prompt"].split() for one in server.seen() if len(one["prompt"].split()) == 80]
    assert len(words) == 24
    assert len({tuple(one[:50]) for one in words}) == 3
    assert len({tuple(one[50:]) for one in words}) == 24


@again
async def test_the_servers_own_metrics_are_read(server, tmp_path):
    names = {
        "running": "stub:running",
        "count": "stub:count_total",
        "missing": "stub:none",
        "kv_cache_usage": "stub:usage",
    }
    load = LoadPoint(kind="concurrency", level=4, seconds=2.5, warmup=4)
    report = await measure(server, "ttft=0.1", load, tmp_path, server_metrics=names)
    assert "missing" not in report.server
    assert 2 <= report.server["running"] <= 4.5
    assert report.server["kv_cache_usage"] == pytest.approx(0.4)
    assert report.server["count"] == pytest.approx(report.requests, abs=12)
    looks = [json.loads(line) for line in (tmp_path / "server.jsonl").read_text().splitlines()]
    assert [look["at"] for look in looks] == pytest.approx(list(range(len(looks))), abs=1.2)
    assert len(looks) >= 3
    assert looks[1]["running"] == pytest.approx(looks[1]["in_flight"], abs=2)
    assert [look["count"] for look in looks] == sorted(look["count"] for look in looks)


async def test_the_report_is_a_benchmark_report(server, tmp_path):
    report = await measure(server, "fault=reset,every=3", concurrency(3, 30), tmp_path, parameters={"n": 1})
    found = BenchmarkReportV02.model_validate(json.loads(json.dumps(report.standard)))
    performance = found.results.request_performance.aggregate
    assert performance.requests.total == 30
    assert performance.requests.failures == 10
    assert performance.latency.time_to_first_token.p50 == pytest.approx(report.metrics["ttft_p50"])
    assert "simulated" in (found.run.description or "")
    assert Report.model_validate_json(report.model_dump_json()) == report


async def test_cancellation_ends_the_load_at_once(server, tmp_path):
    load = LoadPoint(kind="concurrency", level=4, seconds=600)
    running = asyncio.ensure_future(measure(server, "itl=0.02", load, tmp_path))
    generators: list[psutil.Process] = []
    while not generators or not server.seen():
        await asyncio.sleep(0.2)
        generators = workers()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not [p for p in generators if p.is_running()]
    async with asyncio.timeout(60):
        while server.seen():  # what was sent before the end may be read after it
            await asyncio.sleep(0.5)


async def test_what_it_cannot_do_is_told(server, tmp_path):
    with pytest.raises(MeasureError, match="several turns"):
        await measure(server, "x", concurrency(1), tmp_path, workload=workload(turns=2))
    with pytest.raises(DocumentError, match="request_timout"):
        harness("builtin", {"request_timout": 3})
    with pytest.raises(NotFoundError, match="bultin"):
        harness("bultin", {})


async def test_nop_measures_nothing(tmp_path):
    told: list[Progress] = []
    deployment = Deployment(url="http://127.0.0.1:9", model="m", engine="llamacpp", engine_version="1")
    job = Job(deployment=deployment, workload=workload(), load=concurrency(1), seed=3, directory=tmp_path)
    report = await harness("nop", {}).measure(job, told.append)
    assert (report.requests, report.metrics, report.provenance.seed) == (0, {}, 3)
    assert report.client.verdict == "ok"
    assert told[-1].done == told[-1].total
    with pytest.raises(DocumentError):
        harness("nop", {"x": 1})
