"""Engines as a study meets them: launched by their platform, asked over HTTP, ended, and their failures diagnosed."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from servelab.engines.base import engine
from servelab.platforms.base import ExitedError
from servelab.platforms.child import RunningProcess
from servelab.platforms.process import ProcessPlatform
from servelab.spec.base import Parameters
from servelab.spec.deployment import Address, Failure, Mark
from servelab.spec.model import EngineConfig, Model

QUICK = {"time_scale": 0.02, "startup_seconds": 0.01}


@asynccontextmanager
async def launched(
    name: str, parameters: Parameters, directory: Path, path: str | None = None, address: Address | None = None
) -> AsyncIterator[RunningProcess]:
    """An engine in a process, ended at the end."""
    platform = ProcessPlatform({})
    launch = engine(name).launch(
        Model(id="org/model", path=path), EngineConfig(name=name), parameters, address or platform.address()
    )
    mark = Mark(study=f"launch-{os.getpid()}", trial=0)
    running = await platform.start(launch, mark, directory / "engine.log", parameters)
    try:
        yield running
    finally:
        await running.stop(5)


@asynccontextmanager
async def ready(name: str, parameters: Parameters, directory: Path, path: str | None = None) -> AsyncIterator[str]:
    """The URL of an engine that answers."""
    async with launched(name, parameters, directory, path) as running:
        await running.wait_ready(180)
        yield running.url


async def failure(name: str, parameters: Parameters, directory: Path, **changes) -> tuple[int | None, Failure]:
    """How an engine that cannot start ended, and what it is said to have died of."""
    async with launched(name, parameters, directory, **changes) as running:
        with pytest.raises(ExitedError) as caught:
            await running.wait_ready(180)
    found = engine(name).diagnose(caught.value.exit.log_tail, caught.value.exit.code)
    assert found is not None, caught.value.exit.log_tail
    assert found.remedy
    return caught.value.exit.code, found


async def ask(url: str, body: dict | None = None) -> str:
    """A request's whole answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})

    def send() -> str:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    return await asyncio.to_thread(send)


def streamed(text: str) -> list[dict]:
    """The events of a stream that ends as it should."""
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def completion(tokens: int, **changes) -> dict:
    body = {"model": "org/model", "prompt": "one two three four", "max_tokens": tokens, "ignore_eos": True}
    return body | {"stream": True, "stream_options": {"include_usage": True}} | changes


async def test_the_simulated_engine_answers_as_vllm_does_and_says_what_it_is(tmp_path):
    async with ready("simulated", QUICK | {"max_num_seqs": 4}, tmp_path) as url:
        assert "simulated" in await ask(f"{url}/version")
        events = streamed(await ask(f"{url}/v1/completions", completion(7)))
        assert sum(bool(event["choices"] and event["choices"][0]["text"]) for event in events) == 7
        assert events[-1]["usage"] == {"prompt_tokens": 4, "completion_tokens": 7, "total_tokens": 11}
        whole = json.loads(await ask(f"{url}/v1/completions", completion(5, stream=False)))
        assert whole["usage"]["completion_tokens"] == 5
        assert len(json.loads(await ask(f"{url}/tokenize", {"model": "org/model", "prompt": "a b c"}))["tokens"]) == 3
        metrics = await ask(f"{url}/metrics")
        names = [name for name in engine("simulated").server_metrics.values() if name not in metrics]
        assert names == []
        chat = {"model": "org/model", "messages": [{"role": "user", "content": "a b"}], "max_tokens": 3, "stream": True}
        contents = [
            event["choices"][0]["delta"].get("content", "")
            for event in streamed(await ask(f"{url}/v1/chat/completions", chat | {"ignore_eos": True}))
        ]
        assert sum(bool(content) for content in contents) == 3


@pytest.mark.parametrize(
    ("parameters", "code", "kind"),
    [
        ({"no_such_flag": 3}, 2, "bad_argument"),
        ({"gpu_memory_utilization": 0.1}, 1, "out_of_memory"),
        ({"max_num_seqs": 512, "max_num_batched_tokens": 64}, 1, "bad_argument"),
        ({"tensor_parallel_size": 3}, 1, "unsupported"),
        ({"max_model_len": 10_000_000}, 1, "bad_argument"),
        ({"fault": "die-at-start"}, 1, "crash"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_the_simulated_engine_dies_of_is_found_out(tmp_path, parameters, code, kind):
    ended, found = await failure("simulated", QUICK | parameters, tmp_path)
    assert (ended, found.kind) == (code, kind)


async def test_llamacpp_generates_and_ends_when_asked(tmp_path, model_file):
    parameters = {"ctx_size": 512, "parallel": 1, "warmup": False}
    async with launched("llamacpp", parameters, tmp_path, path=str(model_file)) as running:
        await running.wait_ready(180)
        events = streamed(await ask(f"{running.url}/v1/completions", completion(6)))
        usage = [event["usage"] for event in events if event.get("usage")]
        assert usage[-1]["completion_tokens"] == 6
        metrics = await ask(f"{running.url}/metrics")
        assert [name for name in engine("llamacpp").server_metrics.values() if name not in metrics] == []
        psutil.Process(running.pid).terminate()
        ended = await asyncio.wait_for(running.wait_exit(), 120)
        assert ended.code == 0


async def test_llamacpp_says_what_it_cannot_do(tmp_path, model_file):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no weights at all\n" * 100)
    missing = str(tmp_path / "missing.gguf")
    assert (await failure("llamacpp", {}, tmp_path / "a", path=missing))[1].kind == "model_not_found"
    assert (await failure("llamacpp", {}, tmp_path / "b", path=str(broken)))[1].kind == "model_not_found"
    unknown = await failure("llamacpp", {"no_such_flag": 1}, tmp_path / "c", path=str(model_file))
    assert (unknown[0], unknown[1].kind) == (2, "bad_argument")


@pytest.mark.parametrize("name", ["simulated", "llamacpp"])
async def test_a_port_that_is_taken_is_worth_another_try(tmp_path, model_file, name):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address(port=taken.getsockname()[1])
        parameters = QUICK if name == "simulated" else {"ctx_size": 256, "parallel": 1, "warmup": False}
        async with launched(name, parameters, tmp_path, path=str(model_file), address=address) as running:
            ended = await asyncio.wait_for(running.wait_exit(), 120)
    found = engine(name).diagnose(ended.log_tail, ended.code)
    assert found is not None, ended.log_tail
    assert (found.kind, found.transient) == ("port_busy", True)
