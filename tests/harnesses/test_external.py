"""guidellm and inference-perf, really installed and run, against an engine whose own counts are the truth."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from servelab.harnesses.base import Job, harness
from servelab.harnesses.external.environments import install
from servelab.harnesses.external.recipes import recipe
from servelab.spec.deployment import Deployment
from servelab.spec.errors import DocumentError, MeasureError
from servelab.spec.workload import LoadPoint, Workload

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif("SERVELAB_HARNESSES" not in os.environ, reason="installs 2.4 GB: make test-harnesses"),
]

REAL = ("guidellm", "inference-perf")
PROMPT, OUTPUT, REQUESTS = 50, 20, 60

WORDS = """
import sys
from faker.providers.lorem.en_US import Provider
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = [form + end for word in Provider.word_list for form in (word, word.capitalize()) for end in ("", ".")]
names = dict.fromkeys(["other", *words, *map(str, range(5000))])
made = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="other"))
made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
PreTrainedTokenizerFast(tokenizer_object=made).save_pretrained(sys.argv[1])
"""
"""Makes a tokenizer for which a token is a word, as for the simulated engine; of the words that guidellm writes."""


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    """The harnesses, installed into the user's cache, where they stay."""
    return {name: install(recipe(name), lambda text: print(text, flush=True)).program for name in REAL}


@pytest.fixture(scope="session")
def tokenizer(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("tokenizer")
    python = programs["guidellm"].parent / "python"
    subprocess.run([python, "-c", WORDS, directory], check=True, capture_output=True)
    return str(directory)


@pytest.fixture
def engine(unused_tcp_port: int) -> Iterator[str]:
    """The simulated engine at the pace of the machine it plays; its URL."""
    command = [sys.executable, "-m", "servelab.engines.simulated", "m", "--port", str(unused_tcp_port)]
    process = subprocess.Popen([*command, "--startup-seconds", "0"], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{unused_tcp_port}"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/health", timeout=2).close()
            break
        time.sleep(0.05)
    yield url
    process.kill()
    process.wait()


def truth(url: str) -> dict[str, float]:
    """What the engine counted."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    found = (line.rsplit(" ", 1) for line in lines if "_bucket" not in line)
    return {name.partition("{")[0].removeprefix("vllm:"): float(value) for name, value in found}


def mean(seen: dict[str, float], name: str) -> float:
    return seen[f"{name}_seconds_sum"] / seen[f"{name}_seconds_count"]


def job(directory: Path, url: str, tokenizer: str | None, load: LoadPoint, **more) -> Job:
    directory.mkdir(exist_ok=True)
    workload = Workload(prompt=PROMPT, output=OUTPUT, **more)
    deployment = Deployment(url=url, model="m", engine="simulated", simulated=True)
    seed = int.from_bytes(os.urandom(4))
    return Job(deployment, workload, load, seed, directory, tokenizer=tokenizer, cpus=(min(os.sched_getaffinity(0)),))


def closed(**more) -> LoadPoint:
    return LoadPoint(kind="concurrency", level=4, **{"requests": REQUESTS, "warmup": 4, **more})


@pytest.mark.parametrize("name", REAL)
async def test_it_reports_what_the_engine_saw(name, programs, tokenizer, engine, tmp_path):
    seen: list[float] = []
    measured = await harness(name, {}).measure(
        job(tmp_path / "job", engine, tokenizer, closed()), lambda at: seen.append(at.done / at.total)
    )
    served = truth(engine)
    assert measured.errors == {}
    assert measured.requests == REQUESTS
    assert served["e2e_request_latency_seconds_count"] == REQUESTS + 4
    assert served["generation_tokens_total"] == (REQUESTS + 4) * OUTPUT
    assert served["prompt_tokens_total"] == pytest.approx((REQUESTS + 4) * PROMPT, rel=0.01)
    assert served["prefix_cache_hits_total"] == 0
    metrics = measured.metrics
    assert metrics["output_throughput"] * measured.duration == pytest.approx(REQUESTS * OUTPUT)
    assert metrics["total_throughput"] / metrics["request_throughput"] == pytest.approx(PROMPT + OUTPUT, rel=0.01)
    # The client sees what the engine sees, and its own lateness on top.
    assert -0.001 < metrics["ttft_mean"] - mean(served, "time_to_first_token") < 0.03
    assert metrics["itl_mean"] == pytest.approx(mean(served, "inter_token_latency"), rel=0.05)
    assert metrics["tpot_mean"] == pytest.approx(mean(served, "inter_token_latency"), rel=0.05)
    assert -0.002 < metrics["e2e_mean"] - mean(served, "e2e_request_latency") < 0.03
    assert 3 < metrics["concurrency"] <= 4.01
    assert seen == sorted(seen)
    assert seen
    assert seen[-1] <= 1
    made = measured.provenance
    assert (made.harness, made.harness_version) == (name, recipe(name).version)
    assert made.simulated
    assert made.command[0] == name
    assert measured.client.verdict == "unknown"
    _standard_agrees(measured.standard, metrics, name)


def _standard_agrees(standard, metrics, name):
    """The package's conversion of the raw output and our own say the same."""
    standardized = standard["scenario"]["load"]["standardized"]
    assert standardized["tool_version"] == recipe(name).version
    assert standardized["concurrency"] == 4
    assert "rate_qps" not in standardized
    assert standard["scenario"]["stack"][0]["standardized"]["simulated"] is True
    aggregate = standard["results"]["request_performance"]["aggregate"]
    # guidellm's own warm-up takes one request more or less than it was told.
    assert aggregate["requests"]["total"] == pytest.approx(REQUESTS, abs=2)
    ttft = aggregate["latency"]["time_to_first_token"]
    assert ttft["mean"] * {"ms": 1e-3, "s": 1.0}[ttft["units"]] == pytest.approx(metrics["ttft_mean"], rel=0.1)


async def test_guidellm_in_open_loop_counts_from_when_requests_were_due(programs, tokenizer, engine, tmp_path):
    load = LoadPoint(kind="poisson", level=20, requests=REQUESTS)
    measured = await harness("guidellm", {}).measure(job(tmp_path / "job", engine, tokenizer, load), lambda _: None)
    assert measured.requests == REQUESTS
    assert measured.metrics["request_throughput"] == pytest.approx(20, rel=0.5)
    assert measured.metrics["schedule_delay_p50"] >= 0
    served = truth(engine)
    assert measured.metrics["itl_mean"] == pytest.approx(mean(served, "inter_token_latency"), rel=0.05)


async def test_inference_perf_shares_prefixes(programs, tokenizer, engine, tmp_path):
    prefix = {"tokens": 64, "groups": 2}
    asked = job(tmp_path / "job", engine, tokenizer, closed(warmup=0), prefix=prefix)
    measured = await harness("inference-perf", {}).measure(asked, lambda _: None)
    served = truth(engine)
    assert measured.requests == REQUESTS
    assert served["prompt_tokens_total"] == pytest.approx(REQUESTS * (64 + PROMPT), rel=0.02)
    # All but the first of each group, and those that came while it was read.
    assert served["prefix_cache_hits_total"] >= 0.8 * REQUESTS * 64


@pytest.mark.parametrize("name", REAL)
async def test_cancelled_it_leaves_no_process(name, programs, tokenizer, engine, tmp_path):
    asked = job(tmp_path / "job", engine, tokenizer, closed(requests=100_000))
    task = asyncio.ensure_future(harness(name, {}).measure(asked, lambda _: None))
    await _until(lambda: truth(engine)["generation_tokens_total"] > 0)
    running = _processes_in(asked.directory)
    assert len(running) >= 2
    assert all(process.cpu_affinity() == list(asked.cpus) for process in running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _until(lambda: not _processes_in(asked.directory), seconds=10)


async def test_servelab_killed_it_ends_too(programs, tokenizer, engine, tmp_path):
    asked = job(tmp_path / "job", engine, tokenizer, closed(requests=100_000))
    code = (
        "import asyncio, sys; from pathlib import Path; from tests.harnesses.test_external import *;"
        "j = job(Path(sys.argv[1]), sys.argv[2], sys.argv[3], closed(requests=100_000));"
        "asyncio.run(harness('inference-perf', {}).measure(j, lambda _: None))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, asked.directory, engine, tokenizer])  # noqa: ASYNC220 - it starts at once
    await _until(lambda: truth(engine)["generation_tokens_total"] > 0)
    child.send_signal(signal.SIGKILL)
    child.wait()
    await _until(lambda: not _processes_in(asked.directory), seconds=10)


async def _until(holds, seconds: float = 120) -> None:
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


async def test_a_server_that_is_not_there_is_told_with_the_harness_own_words(programs, tokenizer, tmp_path):
    asked = job(tmp_path / "job", "http://127.0.0.1:9", tokenizer, closed())
    with pytest.raises(MeasureError) as caught:
        await harness("guidellm", {}).measure(asked, lambda _: None)
    assert "guidellm left no result" in caught.value.message
    assert "harness.log" in caught.value.remedy


async def test_the_key_goes_by_the_environment_and_into_no_file(programs, tokenizer, engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_API_KEY", "s3cret-of-the-test")
    asked = job(tmp_path / "job", engine, tokenizer, closed(requests=12, warmup=0))
    measured = await harness("guidellm", {}).measure(asked, lambda _: None)
    assert measured.requests == 12
    assert "s3cret" not in json.dumps(measured.model_dump(mode="json"))
    files = [path for path in asked.directory.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if b"s3cret" in path.read_bytes()]


SEVERAL = {"turns": 3}
CHAT = {"api": "chat"}
DATA = {"dataset": "prompts.jsonl"}
SPREAD = {"prompt": {"mean": 50, "stdev": 10}}
FOR_A_TIME = LoadPoint(kind="concurrency", level=4, seconds=10)


@pytest.mark.parametrize(
    ("name", "workload", "load", "said"),
    [
        ("inference-perf", CHAT, closed(), "chat"),
        ("inference-perf", SEVERAL, closed(), "several turns"),
        ("inference-perf", {}, FOR_A_TIME, "for a time"),
        ("guidellm", DATA, closed(), "data set"),
        ("vllm-bench", SEVERAL, closed(), "several turns"),
        ("vllm-bench", SPREAD, closed(), "normally distributed"),
        ("vllm-bench", {"prefix": {"tokens": 8, "groups": 2}}, closed(), "several shared prefixes"),
        ("vllm-bench", {}, FOR_A_TIME, "for a time"),
        ("aiperf", SEVERAL, closed(), "several turns"),
        ("aiperf", DATA, closed(), "data set"),
    ],
)
def test_what_a_harness_cannot_be_told_is_refused(name, workload, load, said, tmp_path):
    asked = job(tmp_path / "job", "http://127.0.0.1:9", "words", load)
    whole = {"prompt": PROMPT, "output": OUTPUT, **workload}
    asked = Job(asked.deployment, Workload(**whole), load, 1, asked.directory, tokenizer="words")
    with pytest.raises(MeasureError, match=said):
        harness(name, {}).plan(asked, "words")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["inference-perf", "aiperf"])
def test_a_key_is_written_to_no_file_and_no_command_line(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_API_KEY", "s3cret")
    asked = job(tmp_path / "job", "http://127.0.0.1:9", "words", closed())
    with pytest.raises(MeasureError, match="key"):
        harness(name, {}).plan(asked, "words")  # type: ignore[attr-defined]


def test_what_is_done_otherwise_is_warned_of(tmp_path):
    load = LoadPoint(kind="constant", level=4, requests=10)
    plan = harness("inference-perf", {}).plan(job(tmp_path / "a", "http://x", "w", load), "w")  # type: ignore[attr-defined]
    assert "random times" in plan.warnings[0]
    plan = harness("vllm-bench", {}).plan(job(tmp_path / "b", "http://x", "w", closed(seconds=5)), "w")  # type: ignore[attr-defined]
    assert "stop after 5 s" in plan.warnings[0]


async def test_without_a_tokenizer_it_says_where_to_name_one(programs, tmp_path):
    with pytest.raises(MeasureError) as caught:
        await harness("guidellm", {}).measure(job(tmp_path / "job", "http://x", None, closed()), lambda _: None)
    assert "model.tokenizer" in caught.value.remedy


def test_unknown_options_are_refused():
    with pytest.raises(DocumentError, match="did you mean `tokenizer`"):
        harness("guidellm", {"tokeniser": "x"})
