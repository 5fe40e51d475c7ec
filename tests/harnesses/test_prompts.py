"""Prompts have the length asked for, whatever the tokenizer and the template add."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servelab.harnesses.builtin.http import Client, Exchange
from servelab.harnesses.builtin.prompts import Prompts, _single_tokens, prepare_prompts, request_body
from servelab.harnesses.builtin.stream import read
from servelab.harnesses.builtin.summary import MIN_REQUESTS, Tally, client_health
from servelab.spec.distribution import Distribution
from servelab.spec.goal import RequestSLO
from servelab.spec.workload import Tokens, Workload

WORDS = [f"w{i}" for i in range(200)]


def prompts(seed: int = 1, overhead: int = 0, **changes) -> Prompts:
    workload = Workload.model_validate({"prompt": 30, "output": 8} | changes)
    return Prompts(workload, seed, WORDS, overhead, exact=True)


@given(st.integers(1, 400), st.integers(0, 30), st.integers(0, 2**32 - 1), st.integers(-50, 50))
def test_a_prompt_has_its_length(length, overhead, seed, index):
    one = prompts(seed, overhead, prompt=length)[index]
    assert len(one.text.split()) == max(1, length - overhead)
    assert one.prompt_tokens == length
    assert one == prompts(seed, overhead, prompt=length)[index]


@given(
    st.floats(1, 500), st.floats(0, 300), st.integers(1, 50), st.one_of(st.none(), st.integers(50, 600)), st.integers()
)
def test_lengths_stay_in_their_bounds(mean, stdev, low, high, seed):
    if high is None and low > round(2 * mean):
        return
    tokens = Tokens(mean=mean, stdev=stdev, min=low, max=high)
    assert low <= tokens.quantile(random.Random(seed).random()) <= tokens.upper


def test_lengths_are_distributed_as_asked():
    made = prompts(prompt={"mean": 100, "stdev": 20}, output={"mean": 50, "stdev": 5})
    lengths = [made[i].prompt_tokens for i in range(800)]
    assert abs(statistics.mean(lengths) - 100) < 4
    assert abs(statistics.stdev(lengths) - 20) < 3
    assert len({made[i].output_tokens for i in range(200)}) > 10


def test_warm_up_shows_the_server_nothing_that_counts():
    made = prompts()
    texts = [made[i].text for i in range(-20, 200)]
    assert len(set(texts)) == len(texts)


def test_seeds_of_workload_and_measurement_both_matter():
    assert prompts(1)[0] != prompts(2)[0]
    one, other = (Prompts(Workload(prompt=30, output=8, seed=s), 1, WORDS, 0, exact=True)[0] for s in (1, 2))
    assert one != other


def test_a_prefix_is_its_groups_alone():
    made = prompts(prefix={"tokens": 40, "groups": 2})
    heads = [tuple(made[i].text.split()[:40]) for i in range(20)]
    assert len(set(heads)) == 2
    assert heads[0::2] == [heads[0]] * 10
    assert made[0].prompt_tokens == 70
    again = prompts(9, prefix={"tokens": 40, "groups": 2})
    assert tuple(again[0].text.split()[:40]) == heads[0], "a cache keeps what the last measurement left"


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_request_asks_for_exactly_its_tokens(api):
    workload = Workload(prompt=5, output=9, api=api)
    body = json.loads(request_body("m", workload, Prompts(workload, 1, WORDS, 0, exact=True)[0]))
    assert (body["max_tokens"], body["min_tokens"], body["ignore_eos"], body["stream"]) == (9, 9, True, True)
    assert body["stream_options"] == {"include_usage": True}
    assert ("messages" in body) == (api == "chat")


@asynccontextmanager
async def server(costly: Collection[str] = (), template: int = 0) -> AsyncIterator[Client]:
    """A client of a server where a word in ``costly`` is two tokens, and every text has a token before it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                given = json.loads(await reader.readexactly(length))
                count = 1 + sum(2 if word in costly else 1 for word in given["prompt"].split())
                usage = {"prompt_tokens": count + template, "completion_tokens": 2}
                generated = {"choices": [{"text": "a b", "finish_reason": "length"}], "usage": usage}
                found = json.dumps({"tokens": [0] * count} if head.startswith(b"POST /tokenize ") else generated)
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(found)}\r\n\r\n{found}".encode())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", {})
    try:
        yield client
    finally:
        client.close()
        listening.close()


@settings(max_examples=20)
@given(st.sets(st.sampled_from(WORDS[1:]), max_size=20))
async def test_words_of_several_tokens_are_left_out(costly):
    async with server(costly) as client:
        assert await _single_tokens(client, "m", WORDS) == [word for word in WORDS if word not in costly]


async def test_what_the_template_adds_is_taken_off():
    async with server(template=11) as client:
        made = await prepare_prompts(client, "m", Workload(prompt=40, output=2), 1)
    assert made.exact
    assert len(made[0].text.split()) == 40 - 12
    assert made[0].prompt_tokens == 40


@settings(max_examples=400)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([b": comment", b"event: x", b"id: 7", b"", b"retry: 10"]),
            st.binary(max_size=20).map(lambda b: b"data: " + b.replace(b"\n", b"").replace(b"\r", b"")),
            st.text(max_size=10).map(
                lambda t: b"data:" + json.dumps({"choices": [{"text": t}]}, ensure_ascii=False).encode()
            ),
            st.just(b"data: [DONE]"),
        ),
        max_size=12,
    ),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.data(),
)
def test_any_stream_reads_the_same_wherever_it_is_cut(lines, newline, ends, data):
    body = newline.join(lines) + (newline if ends else b"")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)))))
    edges = [0, *cuts, len(body)]
    pieces = [(float(i), body[a:b]) for i, (a, b) in enumerate(pairwise(edges)) if a < b]
    whole, cut = (
        read(Exchange(sent=0.0, status=200, pieces=one, end=99.0)) for one in ([(0.0, body)][: len(body)], pieces)
    )
    assert (cut.error, cut.detail, len(cut.chunks)) == (whole.error, whole.detail, len(whole.chunks))
    assert cut.chunks == sorted(cut.chunks)


def test_a_client_that_is_late_is_not_fit():
    tally = Tally(RequestSLO())
    tally.itl.extend([0.01] * 100)
    tally.ttft.extend([0.1] * 20)
    tally.delay.extend([0.0] * 20)
    assert client_health(tally, Distribution([0.001] * 100), 0.3).verdict == "ok"
    assert "of its core" in client_health(tally, Distribution(), 0.95).reasons[0]
    assert "late" in client_health(tally, Distribution([0.2] * 100), 0.3).reasons[0]
    tally.delay.extend([0.5] * 20)
    assert "sent requests" in client_health(tally, Distribution(), 0.3).reasons[0]
    tally.requests = 40
    assert [client_health(tally, Distribution(), cpu, 20).capped for cpu in (0.3, 0.95)] == [True, False]
    assert not client_health(tally, Distribution([0.2] * 100), 0.3, 20).capped
    assert not client_health(tally, Distribution(), 0.3, 0).capped


def test_few_requests_are_warned_of():
    assert any(f"at least {MIN_REQUESTS}" in warning for warning in Tally(RequestSLO()).warnings())
    assert Tally(RequestSLO()).metrics() == {}
    assert Tally(RequestSLO()).quantiles() == {}
