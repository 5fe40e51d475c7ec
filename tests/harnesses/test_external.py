"""The field's harnesses, really installed and run, against an engine whose own counts are the truth.

Two of them at least (tests/harnesses/real.py says which); ``make test-harnesses`` runs all. A busy machine makes a
client late, so TTFT and E2E may be above the engine's by much, but below them by nothing to speak of; intervals also
below, where the first token was seen later than the last. Recorded runs are held to closer bounds (test_importing.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.harness.words import write_tokenizer
from servelab.harnesses.base import harness
from servelab.harnesses.external.environments import find, install
from servelab.harnesses.external.recipes import RECIPES, recipe
from servelab.spec.errors import MeasureError
from servelab.spec.load import LoadPoint
from servelab.spec.report import Report
from tests.harnesses.again import again
from tests.harnesses.real import (
    OUTPUT,
    PROMPT,
    REQUESTS,
    WARMUP,
    chosen,
    closed,
    engine,
    job,
    mean,
    study,
    truth,
    why_not,
)

pytestmark = [pytest.mark.timeout(900)]

LATE = 0.5  # seconds that a client may be late on a busy machine: of TTFT and of a whole answer
COUNTS_FAILURES = ("inference-perf", "genai-bench", "vllm-bench")
"""Goes on without a server; the others end with an error."""
OVERSHOOTS = ("genai-bench",)
"""Looks once a second whether the requests are done."""

ALIKE = {"vllm-bench": 2 * WARMUP, "genai-bench": 5}
"""Prompts that begin like another one: vllm bench warms up with its first; genai-bench has 84 lines to draw from."""

ALWAYS_WARNED = {"genai-bench": ("genai-bench takes no seed: its prompts are others each time",)}

Tokenizer = Callable[[str], str]


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """Installs a harness into the user's cache, where it stays; gives the directory of a tokenizer for it."""
    directory = tmp_path_factory.mktemp("tokenizers")

    def of(name: str) -> str:
        if name not in chosen():
            pytest.skip(why_not(name))
        one = recipe(name)
        if one.part_of and find(one) is None:
            pytest.skip(f"{name} is a part of {one.part_of}, and no {one.program} is on PATH")
        made = find(one) if one.part_of else install(one, lambda text: print(text, flush=True))
        assert made is not None
        return write_tokenizer(directory / name, name, made.program)

    return of


@pytest.fixture
def url(unused_tcp_port: int) -> Iterator[str]:
    with engine(unused_tcp_port) as found:
        yield found


@pytest.mark.parametrize("name", RECIPES)
@again
async def test_it_reports_what_the_engine_saw(name, tokenizer, unused_tcp_port_factory, tmp_path):
    words = tokenizer(name)
    seen: list[float] = []
    with engine(unused_tcp_port_factory()) as url:
        asked = job(name, tmp_path / "job", url, words, closed())
        assert harness(name, {}).check(study(name, words)) == ALWAYS_WARNED.get(name, ())
        measured = await harness(name, {}).measure(asked, lambda at: seen.append(at.done / at.total))
        served = truth(url)
    assert measured.errors == {}
    assert measured.load == asked.load
    _counts_agree(name, measured, served)
    _latencies_agree(measured, served)
    assert seen == sorted(seen)
    assert seen
    assert seen[-1] <= 1
    made = measured.provenance
    assert (made.harness, made.harness_version.partition("+")[0]) == (name, recipe(name).version)
    assert made.simulated
    assert made.command[0] == recipe(name).program
    assert measured.client.verdict == "unknown"
    _standard_agrees(name, measured)


def _counts_agree(name: str, measured: Report, served: dict[str, float]) -> None:
    """Requests and tokens, exactly."""
    answered = served["e2e_request_latency_seconds_count"]
    if name in OVERSHOOTS:
        assert REQUESTS <= measured.requests <= answered - WARMUP
    else:
        assert measured.requests == REQUESTS
        assert answered == REQUESTS + WARMUP
        assert served["generation_tokens_total"] == (REQUESTS + WARMUP) * OUTPUT
        assert served["prompt_tokens_total"] == pytest.approx((REQUESTS + WARMUP) * PROMPT, rel=0.01)
    metrics = measured.metrics
    assert metrics["output_throughput"] * measured.duration == pytest.approx(measured.requests * OUTPUT)
    asked_for = served["prompt_tokens_total"] / served["time_to_first_token_seconds_count"]
    assert metrics["total_throughput"] / metrics["request_throughput"] == pytest.approx(asked_for + OUTPUT, rel=0.02)
    assert served["prefix_cache_hits_total"] <= ALIKE.get(name, 0) * PROMPT


def _latencies_agree(measured: Report, served: dict[str, float]) -> None:
    """The client sees what the engine sees, and its own lateness on top."""
    metrics = measured.metrics
    ttft, e2e = (mean(served, name) for name in ("time_to_first_token", "e2e_request_latency"))
    # Means of all requests against means without the warm-up: a little less is possible.
    assert 0.8 * ttft < metrics["ttft_mean"] < ttft + LATE
    assert 0.9 * e2e < metrics["e2e_mean"] < e2e + LATE
    interval = mean(served, "inter_token_latency")
    for name in ("itl_mean", "tpot_mean"):
        assert 0.5 * interval < metrics[name] < 2 * interval
    assert metrics["tpot_p50"] <= metrics["tpot_p99"] <= metrics["tpot_max"]
    # Little's law ties what is measured apart.
    assert metrics["concurrency"] == pytest.approx(metrics["request_throughput"] * metrics["e2e_mean"], rel=0.1)
    assert 1 < metrics["concurrency"] <= 4.1


def _standard_agrees(name: str, measured: Report) -> None:
    """The package's conversion of the raw output and our own say the same."""
    standard = measured.standard
    standardized = standard["scenario"]["load"]["standardized"]
    assert standardized["tool_version"].partition("+")[0] == recipe(name).version
    assert standardized["concurrency"] == 4
    assert "rate_qps" not in standardized
    assert standard["scenario"]["stack"][0]["standardized"]["simulated"] is True
    aggregate = standard["results"]["request_performance"]["aggregate"]
    # guidellm's own warm-up takes one request more or less than it was told.
    assert aggregate["requests"]["total"] == pytest.approx(measured.requests, abs=2)
    ttft = aggregate["latency"]["time_to_first_token"]
    seconds = ttft["mean"] * {"ms": 1e-3, "s": 1.0}[ttft["units"]]
    assert seconds == pytest.approx(measured.metrics["ttft_mean"], rel=0.5)


@pytest.mark.parametrize("name", ["inference-perf", "guidellm", "aiperf", "vllm-bench"])
@again
async def test_open_loop_keeps_to_the_rate(name, tokenizer, unused_tcp_port_factory, tmp_path):
    load = LoadPoint(kind="poisson", level=10, requests=REQUESTS)
    words = tokenizer(name)
    with engine(unused_tcp_port_factory()) as url:
        measured = await harness(name, {}).measure(job(name, tmp_path / "job", url, words, load), lambda _: None)
        served = truth(url)
    assert measured.errors == {}
    assert measured.requests == served["e2e_request_latency_seconds_count"] == REQUESTS
    # 60 Poisson arrivals: their mean interval is within 40 % of its expectation but for 1 in 500.
    assert 10 / 1.6 < measured.metrics["request_throughput"] < 10 / 0.6
    assert measured.metrics["concurrency"] < 4
    if name != "vllm-bench":  # which does not tell when a request was due
        assert measured.metrics["schedule_delay_p50"] >= 0
    _latencies_agree_in_kind(measured, served)


def _latencies_agree_in_kind(measured: Report, served: dict[str, float]) -> None:
    interval = mean(served, "inter_token_latency")
    assert 0.5 * interval < measured.metrics["itl_mean"] < 2 * interval
    assert measured.metrics["ttft_mean"] > 0.9 * mean(served, "time_to_first_token")


@pytest.mark.parametrize("name", RECIPES)
async def test_a_shared_prefix_is_shared(name, tokenizer, url, tmp_path):
    groups = 1 if name in ("genai-bench", "vllm-bench") else 2
    prefix = {"tokens": 64, "groups": groups}
    asked = job(name, tmp_path / "job", url, tokenizer(name), closed(warmup=0), prefix=prefix)
    measured = await harness(name, {}).measure(asked, lambda _: None)
    served = truth(url)
    assert measured.requests >= REQUESTS
    asked_for = served["time_to_first_token_seconds_count"] * (64 + PROMPT)
    # genai-bench joins lines without a blank between them, which makes one word of two.
    assert served["prompt_tokens_total"] == pytest.approx(asked_for, rel=0.15 if name == "genai-bench" else 0.02)
    # All but the first of each group, and those that came while it was read; whole blocks of 16 tokens only.
    assert served["prefix_cache_hits_total"] >= 0.6 * measured.requests * 64


@pytest.mark.parametrize("name", RECIPES)
async def test_cancelled_it_leaves_no_process(name, tokenizer, url, tmp_path):
    asked = job(name, tmp_path / "job", url, tokenizer(name), closed(requests=5_000))
    task = asyncio.ensure_future(harness(name, {}).measure(asked, lambda _: None))
    await _until(lambda: truth(url)["generation_tokens_total"] > 0)
    running = _processes_in(asked.directory)
    assert len(running) >= 2
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):  # some are short-lived
            assert process.cpu_affinity() == list(asked.cpus)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _until(lambda: not _processes_in(asked.directory))


@pytest.mark.parametrize("name", RECIPES)
async def test_servelab_killed_it_ends_too(name, tokenizer, url, tmp_path):
    asked = job(name, tmp_path / "job", url, None, closed())
    code = (
        "import asyncio, sys; from pathlib import Path; from servelab.harnesses.base import harness;"
        "from tests.harnesses.real import closed, job; name, directory, url, words = sys.argv[1:];"
        "j = job(name, Path(directory), url, words, closed(requests=5_000));"
        "asyncio.run(harness(name, {}).measure(j, lambda _: None))"
    )
    command = [sys.executable, "-c", code, name, str(asked.directory), url, tokenizer(name)]
    child = subprocess.Popen(command)  # noqa: ASYNC220 - it starts at once
    await _until(lambda: truth(url)["generation_tokens_total"] > 0)
    child.send_signal(signal.SIGKILL)
    child.wait()
    await _until(lambda: not _processes_in(asked.directory))


async def _until(holds: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


def _processes_in(directory: Path) -> list[psutil.Process]:
    """Processes whose working directory this is: a harness's, and those it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(directory) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.parametrize("name", RECIPES)
async def test_a_server_that_is_not_there_is_no_result(name, tokenizer, tmp_path):
    """Told in the harness's own words, or every request counted as failed."""
    asked = job(name, tmp_path / "job", "http://127.0.0.1:9", tokenizer(name), closed(requests=8, warmup=0))
    measuring = harness(name, {"request_timeout": 5}).measure(asked, lambda _: None)
    if name in COUNTS_FAILURES:
        measured = await measuring
        assert sum(measured.errors.values()) == measured.requests >= 8
        assert not measured.metrics.get("request_throughput")
        return
    with pytest.raises(MeasureError, match=f"{name} left no result") as caught:
        await measuring
    assert "harness.log" in caught.value.remedy


@pytest.mark.parametrize("name", ["guidellm", "vllm-bench"])
async def test_the_key_goes_by_the_environment_and_into_no_file(name, tokenizer, url, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_API_KEY", "s3cret-of-the-test")
    asked = job(name, tmp_path / "job", url, tokenizer(name), closed(requests=12, warmup=0))
    measured = await harness(name, {}).measure(asked, lambda _: None)
    assert measured.requests == 12
    assert "s3cret" not in json.dumps(measured.model_dump(mode="json"))
    files = [path for path in asked.directory.rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert not [path for path in files if b"s3cret" in path.read_bytes()]


async def test_without_a_tokenizer_it_says_where_to_name_one(tokenizer, tmp_path):
    name = chosen()[0] if chosen() else "inference-perf"
    tokenizer(name)
    with pytest.raises(MeasureError) as caught:
        await harness(name, {}).measure(job(name, tmp_path / "job", "http://x", None, closed()), lambda _: None)
    assert "model.tokenizer" in caught.value.remedy
