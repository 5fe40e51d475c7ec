"""The simulated engine as a real server: its API, its metrics, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from itertools import pairwise

import aiohttp
import pytest

from servelab.engines.base import engine
from servelab.engines.simulated.memory import kv_blocks
from servelab.engines.simulated.options import read_settings

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


def ask(output: int, prompt: str = "a b c", **more) -> dict:
    return {"model": "m", "prompt": prompt, "max_tokens": output, "ignore_eos": True, **more}


async def post(url: str, body: dict) -> dict:
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Server"] == "servelab-simulated"
        return await answer.json()


async def events(url: str, body: dict) -> list[tuple[float, dict | str]]:
    """The events of a stream, with the time of each."""
    found: list[tuple[float, dict | str]] = []
    async with aiohttp.ClientSession() as http, http.post(url, json={**body, "stream": True}) as answer:
        assert answer.headers["Server"] == "servelab-simulated"
        async for line in answer.content:
            data = line.decode().removeprefix("data: ").strip()
            if data:
                found.append((time.perf_counter(), data if data == "[DONE]" else json.loads(data)))
    return found


async def metrics(url: str) -> dict[str, float]:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        lines = [line for line in (await answer.text()).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_it_says_that_it_is_simulated(simulate):
    served = simulate("--served-model-name", "org/m", "--swap-space", "3")
    async with aiohttp.ClientSession(served.url) as http:
        async with http.get("/version") as answer:
            version = await answer.json()
        async with http.get("/v1/models") as answer:
            models = await answer.json()
    assert version["simulated"] is True
    assert version["version"].startswith("simulated-")
    assert models["data"][0]["id"] == "org/m"
    assert models["data"][0]["max_model_len"] == 131072
    answer = await post(served.url + COMPLETIONS, ask(2, model="org/m"))
    assert answer["system_fingerprint"] == "simulated"
    assert "SIMULATED" in served.words()
    assert "not simulated: swap_space" in served.words()


async def test_answers_have_the_tokens_that_were_asked_for(simulate):
    url = simulate().url
    done = await post(url + COMPLETIONS, ask(7))
    assert done["usage"] == {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
    assert len(done["choices"][0]["text"].split()) == 7
    assert done["choices"][0]["finish_reason"] == "length"
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi there"}], "max_completion_tokens": 5}
    done = await post(url + CHAT, {**chat, "min_tokens": 5})
    assert done["object"] == "chat.completion"
    assert done["choices"][0]["message"] == {"role": "assistant", "content": " word" * 5}
    tokens = await post(f"{url}/tokenize", {"model": "m", "prompt": "one two three"})
    assert tokens["count"] == len(tokens["tokens"]) == 3
    ids = await post(url + COMPLETIONS, ask(1, prompt=[5, 6, 7, 8]))
    assert ids["usage"]["prompt_tokens"] == 4


async def test_without_ignore_eos_an_answer_ends_by_itself(simulate):
    url = simulate(scale=0.001).url
    asked = [{"model": "m", "prompt": f"prompt {n}", "max_tokens": 2000} for n in range(20)]
    lengths = [(await post(url + COMPLETIONS, body))["usage"]["completion_tokens"] for body in asked]
    assert len(set(lengths)) > 10
    assert max(lengths) < 2000
    assert (await post(url + COMPLETIONS, asked[0]))["usage"]["completion_tokens"] == lengths[0]
    longer = await post(url + COMPLETIONS, {**asked[0], "min_tokens": 1900})
    assert longer["usage"]["completion_tokens"] >= 1900


@pytest.mark.parametrize(("path", "role_first"), [(COMPLETIONS, False), (CHAT, True)])
async def test_a_stream_brings_token_by_token_and_usage_at_the_end(simulate, path, role_first):
    url = simulate(scale=2).url
    body = {**ask(10), "messages": [{"role": "user", "content": "a b c"}], "stream_options": {"include_usage": True}}
    found = [(at, one) for at, one in await events(url + path, body)]
    *tokens, (_, usage), (_, done) = found
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 10
    if role_first:
        (_, first), *tokens = tokens
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert len(tokens) == 10
    assert [one["choices"][0]["finish_reason"] for _, one in tokens] == [None] * 9 + ["length"]
    short = await events(url + path, {**body, "max_tokens": 1, "stream_options": None})
    assert short[-1][1] == "[DONE]"
    assert short[-2][1]["choices"][0]["finish_reason"] == "length"


async def test_a_token_takes_as_long_as_its_step(simulate):
    url = simulate(scale=2).url
    seen = []
    for _ in range(10):  # a machine that is busy may bring tokens late, and then several at once
        tokens = (await events(url + COMPLETIONS, ask(10)))[:10]
        gaps = sorted(b[0] - a[0] for a, b in pairwise(tokens))
        seen.append(gaps[len(gaps) // 2])
        if 0.006 < seen[-1] < 0.1:
            return
    pytest.fail(f"a step of this profile takes 6.4 ms, here twice as long, and not {seen} s")


async def test_metrics_have_vllms_names_and_count(simulate):
    url = simulate("--max-num-seqs", "4", "--block-size", "16").url
    shared = " ".join(f"s{n}" for n in range(64))
    await asyncio.gather(*(post(url + COMPLETIONS, ask(20, prompt=f"{shared} {n}")) for n in range(8)))
    found = {name.partition("{")[0]: value for name, value in (await metrics(url)).items()}
    for name in engine("simulated").server_metrics.values():
        assert name in found
    assert found["vllm:generation_tokens_total"] == 160
    assert found["vllm:prompt_tokens_total"] == 8 * 65
    assert found["vllm:prefix_cache_queries_total"] == 8 * 65
    assert found["vllm:prefix_cache_hits_total"] == 7 * 64
    assert found["vllm:num_requests_running"] == found["vllm:kv_cache_usage_perc"] == 0
    assert found["vllm:time_to_first_token_seconds_count"] == 8
    assert found["vllm:inter_token_latency_seconds_count"] == 8 * 19
    assert found["vllm:e2e_request_latency_seconds_count"] == 8
    assert found["vllm:e2e_request_latency_seconds_sum"] > found["vllm:time_to_first_token_seconds_sum"]


async def test_more_requests_than_sequences_wait(simulate):
    url = simulate("--max-num-seqs", "2", scale=1).url
    work = [asyncio.ensure_future(post(url + COMPLETIONS, ask(200))) for _ in range(5)]
    seen = []
    while not all(one.done() for one in work):
        seen.append(await metrics(url))
    assert max(one['vllm:num_requests_running{model_name="m"}'] for one in seen) == 2
    assert max(one['vllm:num_requests_waiting{model_name="m"}'] for one in seen) > 0
    assert max(one['vllm:kv_cache_usage_perc{model_name="m"}'] for one in seen) > 0
    await asyncio.gather(*work)


async def test_a_client_that_leaves_frees_its_place(simulate):
    url = simulate("--max-num-seqs", "1", scale=1).url
    longest = ask(100_000)  # eleven minutes
    async with aiohttp.ClientSession() as http:
        async with http.post(url + COMPLETIONS, json={**longest, "stream": True}) as answer:
            await answer.content.readline()
        whole = asyncio.ensure_future(http.post(url + COMPLETIONS, json=longest))
        await asyncio.sleep(0.2)
        whole.cancel()
    await asyncio.wait_for(post(url + COMPLETIONS, ask(2)), 120)
    async with asyncio.timeout(120):
        while (await metrics(url))['vllm:num_requests_running{model_name="m"}']:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"no json", 400, "not JSON"),
        (b"[]", 400, "JSON object"),
        (b'{"model": "other", "prompt": "x"}', 404, "`other` does not exist"),
        (b'{"model": "m"}', 400, "give messages, or one prompt"),
        (b'{"prompt": ["a", "b"]}', 400, "one prompt"),
        (b'{"prompt": "x", "max_tokens": 0}', 400, "at least 1"),
        (b'{"prompt": "x", "max_tokens": "many"}', 400, "whole number"),
        (b'{"prompt": "x", "max_tokens": 4, "min_tokens": 5}', 400, "min_tokens"),
        (b'{"prompt": "x y", "max_tokens": 200000}', 400, "maximum context length is 131072 tokens"),
    ],
)
async def test_bad_requests_are_refused_in_a_sentence(simulate, body, status, said):
    url = simulate().url
    async with aiohttp.ClientSession() as http, http.post(url + COMPLETIONS, data=body) as answer:
        assert answer.status == status
        assert said in (await answer.json())["error"]["message"]


IMPOSSIBLE = [
    ("l4-llama-3.1-8b", "", "out_of_memory", "Lower max_model_len to "),
    ("l4-llama-3.1-8b", "--gpu-memory-utilization 0.6", "out_of_memory", "Raise gpu_memory_utilization"),
    ("l4-llama-3.1-8b", "--max-model-len 1024 --max-num-batched-tokens 16384", "out_of_memory", "Raise"),
    ("h100-llama-3.1-8b", "--gpu-memory-utilization 0.995", "out_of_memory", "Another process"),
    ("l4-llama-3.1-8b", "--max-model-len 99 --gpu-memory-utilization 0.97 --cpu-offload-gb x", "bad_argument", "Check"),
    ("h200-qwen2.5-32b-fp8", "--tensor-parallel-size 3", "unsupported", "divides 40"),
    ("h100-llama-3.1-8b", "--tensor-parallel-size 16", "unsupported", "Lower tensor_parallel_size"),
    ("h100-llama-3.1-8b", "--tensor-parallel-size 0", "bad_argument", "Check"),
    ("h100-llama-3.1-8b", "--block-size 0", "bad_argument", "Check"),
    ("h100-llama-3.1-8b", "--max-model-len 0", "bad_argument", "Check"),
    ("h100-llama-3.1-8b", "--gpu-memory-utilization 1.5", "bad_argument", "Check"),
    ("h100-llama-3.1-8b", "--max-num-seqs 64 --max-num-batched-tokens 32", "bad_argument", "Raise"),
    ("a100-llama-3-8b", "--max-model-len 9000", "bad_argument", "Lower"),
    ("h100-llama-3.1-8b", "--no-enable-chunked-prefill --max-num-batched-tokens 2048", "bad_argument", "Raise"),
    (
        "h100-llama-3.1-8b",
        "--max-model-len -1 --no-enable-chunked-prefill --max-num-batched-tokens 65536",
        "bad_argument",
        "Raise max_num_batched_tokens",
    ),
    ("h100-llama-3.1-8b", "--max-num-seq 8", "bad_argument", "Check the name"),
    ("h100-llama-3.1-8b", "--kv-cache-dtype fp9", "bad_argument", "Check the value"),
    ("h100-llama-3.1-8b", "--time-scale 0", "bad_argument", "Check the value"),
    ("h100-llama-3.1-8b", "--fault die-at-start", "crash", "log"),
]


@pytest.mark.parametrize(("profile", "arguments", "kind", "remedy"), IMPOSSIBLE)
def test_what_cannot_run_says_so_in_vllms_words_and_is_diagnosed(profile, arguments, kind, remedy):
    command = [sys.executable, "-m", "servelab.engines.simulated", "m", "--startup-seconds", "0", "--profile", profile]
    done = subprocess.run([*command, *arguments.split()], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == (2 if "usage:" in done.stderr else 1)
    assert "Traceback" not in done.stderr
    found = engine("simulated").diagnose(done.stderr, done.returncode)
    assert found is not None, done.stderr
    assert found.kind.startswith(kind), done.stderr
    assert remedy in found.remedy


async def test_too_little_is_left_for_a_large_batch(simulate):
    # At its own pace: made quicker, it would answer some before the others have come.
    arguments = ("--profile", "l4-llama-3.1-8b", "--max-model-len", "2048", "--gpu-memory-utilization", "0.97")
    served = simulate(*arguments, scale=1)
    few = [post(served.url + COMPLETIONS, ask(20)) for _ in range(20)]
    await asyncio.gather(*few)
    many = [post(served.url + COMPLETIONS, ask(50)) for _ in range(200)]
    assert any(isinstance(one, aiohttp.ClientError) for one in await asyncio.gather(*many, return_exceptions=True))
    code = served.process.wait(120)
    found = engine("simulated").diagnose(served.words(), code)
    assert found is not None
    assert found.kind == "out_of_memory"


async def test_a_small_cache_preempts_and_still_serves_everybody(simulate):
    served = simulate("--profile", "l4-llama-3.1-8b", "--max-model-len", "-1", "--gpu-memory-utilization", "0.75")
    answers = await asyncio.gather(*(post(served.url + COMPLETIONS, ask(400, f"{n} " * 20)) for n in range(16)))
    assert all(answer["usage"]["completion_tokens"] == 400 for answer in answers)
    assert (await metrics(served.url))['vllm:num_preemptions_total{model_name="m"}'] > 0


FAULTS = [
    ("error-429", 429),
    ("error-500", 500),
    ("garbage", 200),
]


@pytest.mark.parametrize(("fault", "status"), FAULTS)
async def test_faults_that_answer(simulate, fault, status):
    url = simulate("--fault", fault).url
    async with aiohttp.ClientSession() as http, http.post(url + COMPLETIONS, json=ask(3)) as answer:
        assert answer.status == status
        assert (fault == "garbage") == ("not json" in await answer.text())


async def test_half_a_stream_breaks_off(simulate):
    with pytest.raises(aiohttp.ClientPayloadError):
        await events(simulate("--fault", "half-stream").url + COMPLETIONS, ask(10))


async def test_no_answer_and_a_hang_under_load(simulate):
    url = simulate("--fault", "hang-under-load").url
    for _ in range(8):
        await post(url + COMPLETIONS, ask(1))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(post(url + COMPLETIONS, ask(1)), 0.5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(post(simulate("--fault", "no-answer").url + COMPLETIONS, ask(1)), 0.5)


async def test_a_crash_under_load_is_diagnosed(simulate):
    served = simulate("--fault", "die-under-load")
    with pytest.raises(aiohttp.ClientError):
        await asyncio.gather(*(post(served.url + COMPLETIONS, ask(1)) for _ in range(20)))
    found = engine("simulated").diagnose(served.words(), served.process.wait(120))
    assert found is not None
    assert found.kind == "crash"


async def test_a_fault_of_the_engine_itself_ends_it_with_a_traceback(serve):
    served = serve("tests.engines.broken", "m", "--startup-seconds", "0")
    with pytest.raises(aiohttp.ClientError):
        await asyncio.wait_for(post(served.url + COMPLETIONS, ask(3)), 120)
    assert served.process.wait(120) == 1
    assert "Traceback" in served.words()
    assert "RuntimeError: a fault of the scheduler" in served.words()


@pytest.mark.parametrize("arguments", [(), ("--fault", "no-answer"), ("--fault", "hang-at-start")])
async def test_it_ends_when_asked(simulate, arguments):
    served = simulate(*arguments, ready="hang-at-start" not in arguments)
    if "hang-at-start" in arguments:
        while "SIMULATED" not in served.words():
            await asyncio.sleep(0.05)
    else:
        waiting = asyncio.ensure_future(post(served.url + COMPLETIONS, ask(100_000)))
        await asyncio.sleep(0.1)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(120) in (0, -signal.SIGTERM)
    if "hang-at-start" not in arguments:
        with pytest.raises(aiohttp.ClientError):
            await waiting


def test_a_busy_port_is_told(simulate):
    second = simulate(ready=False, port=int(simulate().url.rpartition(":")[2]))
    code = second.process.wait(120)
    found = engine("simulated").diagnose(second.words(), code)
    assert found is not None
    assert (found.kind, found.transient) == ("port_busy", True)


@pytest.mark.parametrize("share", [0.3, 0.31, 0.32, 0.35])
def test_a_request_of_the_length_that_fits_is_served(share):
    settings = read_settings(["m", "--max-model-len", "-1", "--gpu-memory-utilization", str(share)])
    blocks = kv_blocks(settings.profile, settings.memory)
    assert blocks * settings.memory.block_size == settings.memory.max_model_len < settings.profile.context


def test_a_length_left_to_the_engine_needs_no_chunked_prefill():
    settings = read_settings(["m", "--max-model-len", "-1", "--no-enable-chunked-prefill"])
    assert not settings.chunked_prefill
    assert settings.memory.max_num_batched_tokens == settings.profile.context
    assert 1 < settings.memory.max_model_len < settings.profile.context
    assert kv_blocks(settings.profile, settings.memory) * settings.memory.block_size >= settings.memory.max_model_len
