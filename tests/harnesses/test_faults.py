"""Whatever a server does, each request ends as a counted success or a counted error with a name."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import get_args

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from servelab.harnesses.builtin import name
from servelab.harnesses.builtin.http import Client, ExchangeError
from servelab.harnesses.builtin.load import AllFailed, LoadGenerator
from servelab.harnesses.builtin.prompts import Prompts
from servelab.harnesses.builtin.shares import shares
from servelab.harnesses.builtin.stream import AnswerError, read
from servelab.harnesses.builtin.summary import Tally
from servelab.spec.goal import RequestSLO
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload
from tests.harnesses.again import again
from tests.harnesses.test_measure import concurrency, measure


def literals(of: object) -> Iterator[str]:
    """All strings of a type made of literals."""
    for part in get_args(of):
        yield from [part] if isinstance(part, str) else literals(part)


KINDS = re.compile("|".join([*literals(ExchangeError), *literals(AnswerError), r"http_\d{3}"]))
WORKLOAD = Workload.model_validate({"prompt": 4, "output": 4})
PROMPTS = Prompts(WORKLOAD, 1, ["word"] * 64, 0, exact=True)
PATIENCE = 120.0  # seconds


@dataclass(frozen=True)
class Reply:
    """What a server sends, in which pieces, and how it ends; ``texts`` are its chunks where it is sound."""

    data: bytes
    cuts: tuple[int, ...]
    ending: str
    texts: tuple[str, ...] | None

    @property
    def pieces(self) -> list[bytes]:
        """The bytes as they are written."""
        edges = [0, *sorted(cut % (len(self.data) + 1) for cut in self.cuts), len(self.data)]
        return [self.data[a:b] for a, b in pairwise(edges) if a < b]


def events(texts: tuple[str, ...], usage: bool, chat: bool, reasoning: bool) -> bytes:
    """A sound stream of server-sent events, beyond ASCII as it is."""
    found = [{"choices": [{"delta": {"role": "assistant", "content": ""}}]}] if chat else []
    for number, text in enumerate(texts, 1):
        end = "stop" if number == len(texts) else None
        field = "reasoning_content" if reasoning else "content"
        choice = {"delta": {field: text}} if chat else {"text": text}
        found.append({"id": "x", "choices": [{**choice, "finish_reason": end}]})
    if usage:
        found.append({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": max(1, len(texts))}})
    lines = [json.dumps(message, ensure_ascii=False) for message in found] + ["[DONE]"]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def framed(body: bytes, how: str, cuts: list[int]) -> bytes:
    """A response around a body; HTTP chunks end anywhere, inside a character or inside ``data:``."""
    if how == "http10":
        return b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + body
    if how == "length":
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    chunks = [b"%x\r\n%b\r\n" % (b - a, body[a:b]) for a, b in pairwise(edges) if a < b]
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"


TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=1, max_size=5)
CUTS = st.lists(st.integers(min_value=0, max_value=2000), max_size=8)


@st.composite
def replies(draw) -> Reply:
    """Sound replies, and sound ones that something happened to."""
    texts = tuple(draw(TEXTS))
    how = draw(st.sampled_from(["chunked", "length", "http10"]))
    body = events(texts, draw(st.booleans()), draw(st.booleans()), draw(st.booleans()))
    fault = draw(st.sampled_from(["none", "none", "cut", "reset", "corrupt", "garbage", "status", "nothing"]))
    if fault == "corrupt":
        place = draw(st.integers(min_value=0, max_value=len(body) - 1))
        body = body[:place] + draw(st.binary(max_size=3)) + body[place + 1 :]
    data = framed(body, how, draw(CUTS))
    if fault in ("cut", "reset"):
        data = data[: draw(st.integers(min_value=0, max_value=len(data) - 1))]
    elif fault == "garbage":
        data = draw(st.binary(min_size=1, max_size=60))
    elif fault == "status":
        status = draw(st.sampled_from([400, 404, 429, 500, 503]))
        data = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status
    elif fault == "nothing":
        data = b""
    ending = "stay" if fault == "none" and how != "http10" else "reset" if fault == "reset" else "close"
    return Reply(data, tuple(draw(CUTS)), ending, texts if fault == "none" else None)


class Scripted:
    """A real server that gives its replies in order, over and over."""

    def __init__(self, given: list[Reply]) -> None:
        self._replies = given
        self._next = 0
        self.serving: set[asyncio.Task] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.serving.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(re.search(rb"Content-Length: (\d+)", head)[1]))
                reply = self._replies[self._next % len(self._replies)]
                self._next += 1
                for piece in reply.pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if reply.ending == "reset":
                    writer.transport.abort()
                if reply.ending != "stay":
                    return
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


async def served(given: list[Reply], use):
    """What ``use`` makes of a client of such a server."""
    scripted = Scripted(given)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    try:
        return await use(client)
    finally:
        client.close()
        server.close()
        await asyncio.gather(*scripted.serving)


@settings(max_examples=200, deadline=None)
@given(replies())
def test_each_reply_is_a_success_or_an_error_with_a_name(reply):
    async def use(client):
        return [await client.post("/v1/completions", b"{}", PATIENCE) for _ in range(2)]

    for exchange in asyncio.run(served([reply], use)):
        answer = read(exchange)
        assert answer.error is None or KINDS.fullmatch(answer.error)
        if reply.texts is not None:
            assert answer.error is None, answer.detail
            assert len(answer.chunks) == len(reply.texts)
            assert exchange.sent <= answer.chunks[0] <= answer.chunks[-1] <= exchange.end


@settings(max_examples=60, deadline=None)
@given(
    st.lists(replies(), min_size=1, max_size=6),
    st.sampled_from([("concurrency", 1), ("concurrency", 4), ("poisson", 2000), ("constant", 500)]),
)
def test_totals_always_add_up(given_replies, asked):
    async def use(client):
        tally = Tally(RequestSLO())
        (share,) = shares(LoadPoint(kind=asked[0], level=asked[1], requests=12), 8, 1)
        generator = LoadGenerator(client, "m", WORKLOAD, PROMPTS, share, PATIENCE)
        try:
            await generator.run(1, tally.add)
        except AllFailed as failed:
            return tally, failed.answer.error
        return tally, None

    tally, hopeless = asyncio.run(served(given_replies, use))
    if hopeless is not None:
        assert KINDS.fullmatch(hopeless)
    else:
        assert tally.requests == 12 == tally.succeeded + sum(tally.errors.values())
        assert all(KINDS.fullmatch(kind) for kind in tally.errors)
        assert tally.metrics()["error_rate"] == pytest.approx(sum(tally.errors.values()) / 12)


def test_bytes_that_trickle_are_a_whole_answer():
    data = framed(events(("grüße", " 世界"), usage=True, chat=True, reasoning=False), "chunked", [5, 60, 61])
    reply = Reply(data, tuple(range(len(data))), "stay", None)

    async def use(client):
        return await client.post("/v1/chat/completions", b"{}", PATIENCE)

    answer = read(asyncio.run(served([reply], use)))
    assert (answer.error, len(answer.chunks)) == (None, 2)


async def test_nobody_there_is_refused():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        exchange = await Client(f"http://127.0.0.1:{one.getsockname()[1]}", {}).post("/v1/completions", b"{}", PATIENCE)
    assert exchange.error == "connect_refused"


async def test_a_server_that_never_answers_is_a_timeout():
    reply = Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", (), "stay", None)
    exchange = await served([reply], lambda client: client.post("/v1/completions", b"{}", 0.1))
    assert exchange.error == "timeout"
    assert exchange.end - exchange.sent >= 0.1


async def test_a_name_that_nobody_knows_is_named(monkeypatch):
    monkeypatch.setattr(name, "TIMEOUT", 200.0)  # a machine without a network may ask for long
    exchange = await Client("http://nowhere.invalid:80", {}).post("/v1/completions", b"{}", PATIENCE)
    assert exchange.error == "resolve_failed"
    assert "nowhere.invalid" in exchange.detail
    assert read(exchange).detail == exchange.detail


async def test_a_name_server_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(name, "TIMEOUT", 0.2)
    asked_long_enough = threading.Event()
    monkeypatch.setattr(name, "_look_up", lambda host, port: asked_long_enough.wait(120))
    client = Client("http://slow.test:80", {})
    try:
        exchanges = await asyncio.gather(*(client.post("/v1/completions", b"{}", PATIENCE) for _ in range(3)))
    finally:
        asked_long_enough.set()
    assert [exchange.error for exchange in exchanges] == ["resolve_timeout"] * 3
    told = re.search(r"slow\.test: no answer \(([\d.]+) s\)", exchanges[0].detail)
    assert float(told[1]) >= 0.2


SLOW_RESOLVER = """
import socket, time
real = socket.getaddrinfo
def slow(host, *rest, **named):
    if host != "slow.test":
        return real(host, *rest, **named)
    time.sleep(0.8)
    with open({log!r}, "a") as log:
        log.write("asked\\n")
    return real("127.0.0.1", *rest, **named)
socket.getaddrinfo = slow
"""


@again
async def test_a_slow_name_server_is_in_no_latency(server, tmp_path, monkeypatch):
    """In real processes, whose resolver takes 0.8 s."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_RESOLVER.format(log=str(tmp_path / "asked")))
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    named = SimpleNamespace(url=server.url.replace("127.0.0.1", "slow.test"))
    looks = {"running": "stub:running"}
    report = await measure(named, "ttft=0.05", concurrency(8, 24), tmp_path / "out", server_metrics=looks)
    assert (report.requests, report.errors) == (24, {})
    assert report.metrics["ttft_max"] < 0.5
    assert (tmp_path / "asked").read_text().count("asked") == 2, "once for the load, once for the metrics"


@pytest.mark.parametrize("fault", ["close", "http10", "reset", "half"])
def test_connections_that_end_leave_nothing_behind(server, fault):
    """The collector of cycles is off while measuring, so nothing may need it."""

    async def use() -> int:
        client = Client(f"{server.url}/itl=0,fault={fault}", {})
        body = b'{"prompt": "a b", "max_tokens": 4}'
        await client.post("/v1/completions", body, PATIENCE)
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                await client.post("/v1/completions", body, PATIENCE)
            return gc.collect()
        finally:
            gc.enable()
            client.close()

    assert uvloop.run(use()) < 50
