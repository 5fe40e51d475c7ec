"""The embedded llama.cpp, as a real server with the real model."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request

import pytest

from servelab.engines.base import engine
from servelab.spec.deployment import Address, Failure
from servelab.spec.model import EngineConfig, Model

SERVER = "servelab.engines.llamacpp.server"
SMALL = ("--ctx-size", "512", "--parallel", "2", "--no-warmup")

MEMORY = 16 * 2**30  # bytes of address space for a server that is to fail


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def failing(serve):
    """Start the server with arguments that it cannot run with; the diagnosis."""

    def run(*arguments: str) -> Failure:
        # Where the kernel promises any amount of memory, what asks for too much would take the machine down with it.
        served = serve(SERVER, *arguments, ready=False, memory=MEMORY)
        code = served.process.wait(120)
        assert code > 0
        assert "Traceback" not in served.words()
        found = engine("llamacpp").diagnose(served.words(), code)
        assert found is not None, served.words()
        assert found.remedy
        return found

    return run


def test_it_serves_and_ends_when_asked(serve, model_file):
    served = serve(SERVER, "--model", str(model_file), "--alias", "small", "--metrics", *SMALL)
    done = post(f"{served.url}/v1/completions", {"model": "small", "prompt": "Once upon a time", "max_tokens": 4})
    assert done["usage"]["completion_tokens"] == 4
    said = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}
    assert post(f"{served.url}/v1/chat/completions", said)["choices"][0]["message"]["content"]
    assert len(post(f"{served.url}/tokenize", {"content": "hello there friend"})["tokens"]) == 3
    assert json.loads(get(f"{served.url}/v1/models"))["data"][0]["id"] == "small"
    assert len(json.loads(get(f"{served.url}/slots"))) == 2
    metrics = get(f"{served.url}/metrics")
    for name in engine("llamacpp").server_metrics.values():
        assert f"\n{name} " in metrics
    assert f"{len(os.sched_getaffinity(0))} thread(s)" in served.words()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(120) == 0


def test_the_engine_starts_what_it_says(serve, model_file):
    parameters = {"ctx_size": 256, "parallel": 1, "flash_attn": "on", "cache_type_k": "q8_0", "cont_batching": False}
    more = {"mmap": False, "prio": 1, "poll": 0, "kv_unified": True, "cache_ram": 0, "threads": 1, "warmup": False}
    model = Model(id="org/small", path=str(model_file))
    launch = engine("llamacpp").launch(model, EngineConfig(name="llamacpp"), parameters | more, Address(port=1))
    assert launch.command[2] == SERVER
    at = launch.command.index("--port")
    served = serve(SERVER, *launch.command[3:at], *launch.command[at + 2 :])
    assert post(f"{served.url}/v1/completions", {"prompt": "Hi", "max_tokens": 2})["model"] == "org/small"


def test_slots_share_a_cache_where_their_number_is_left_open(serve, model_file):
    model = ("--model", str(model_file), "--ctx-size", "512", "--no-warmup")
    for flags, shares in (((), [512] * 4), (("--parallel", "2"), [256] * 2), (("-np", "2", "-kvu"), [512] * 2)):
        served = serve(SERVER, *model, *flags)
        assert [slot["n_ctx"] for slot in json.loads(get(f"{served.url}/slots"))] == shares


def test_a_missing_model(failing):
    found = failing("--model", "/no/such/model.gguf")
    assert (found.kind, found.message) == ("model_not_found", "there is no model file /no/such/model.gguf")


def test_a_broken_model(failing, tmp_path, model_file):
    broken = tmp_path / "broken.gguf"
    for content in (b"hello", model_file.read_bytes()[:1_000_000]):
        broken.write_bytes(content)
        assert failing("--model", str(broken)).kind == "model_not_found"


def test_a_context_that_is_too_large(failing, model_file):
    found = failing("--model", str(model_file), "--ctx-size", "80000000")
    assert found.kind == "out_of_memory"
    assert "ctx_size" in found.remedy


def test_a_quantized_cache_without_flash_attention(failing, model_file):
    found = failing("--model", str(model_file), *SMALL, "--flash-attn", "off", "--cache-type-v", "q8_0")
    assert (found.kind, found.message) == ("unsupported", "a quantized V cache needs flash attention")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--frobnicate", "1"), "does not know --frobnicate 1"),
        (("--parallel", "0"), "must be at least 1, not 0"),
        (("--batch-size", "many"), "must be a whole number, not many"),
        (("--cache-type-k", "q9"), "invalid choice: 'q9'"),
        (("--poll", "101"), "invalid choice: 101"),
    ],
)
def test_bad_arguments(failing, arguments, said):
    found = failing("--model", "x", *arguments)
    assert found.kind == "bad_argument"
    assert said in found.message


def test_a_busy_port(serve, model_file):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        served = serve(SERVER, "--model", str(model_file), *SMALL, ready=False, port=taken.getsockname()[1])
        code = served.process.wait(120)
    found = engine("llamacpp").diagnose(served.words(), code)
    assert found is not None
    assert (found.kind, found.transient) == ("port_busy", True)
