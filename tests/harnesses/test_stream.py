"""Streams are read rightly wherever they are cut."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from servelab.harnesses.builtin.http import Exchange
from servelab.harnesses.builtin.record import chunk_intervals, record, token_intervals
from servelab.harnesses.builtin.stream import read
from servelab.harnesses.builtin.summary import Tally
from servelab.harnesses.builtin.watch import lines_of, parse_metrics
from servelab.spec.distribution import quantile
from servelab.spec.goal import RequestSLO
from servelab.spec.metrics import metric_names


def sse(*messages: object) -> bytes:
    return b"".join(
        b"data: " + (m if isinstance(m, bytes) else json.dumps(m, ensure_ascii=False).encode()) + b"\n\n"
        for m in messages
    )


def text(content: str, finish: str | None = None) -> dict:
    return {"choices": [{"text": content, "finish_reason": finish}]}


STREAM = sse(
    text("grüße"),
    text(" 世界"),
    text(" !", "length"),
    {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}},
    b"[DONE]",
)


def exchange(body: bytes, cuts: list[int], status: int = 200) -> Exchange:
    edges = [0, *sorted(cuts), len(body)]
    pieces = [(float(i), body[a:b]) for i, (a, b) in enumerate(pairwise(edges)) if a < b]
    return Exchange(sent=0.0, status=status, pieces=pieces, end=99.0)


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM))))
def test_any_cut_gives_the_same_answer(cuts):
    answer = read(exchange(STREAM, cuts))
    assert answer.error is None
    assert (len(answer.chunks), answer.prompt_tokens, answer.output_tokens) == (3, 5, 3)


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0, max_value=200)))
def test_any_garbage_is_an_error_with_a_name(body, cuts):
    answer = read(exchange(body, [cut for cut in cuts if cut <= len(body)]))
    assert answer.error in {"bad_json", "half_stream", "empty", "server_error"}


def test_a_chunk_is_stamped_when_it_is_complete():
    cut = STREAM.index(b"\n") - 3
    answer = read(Exchange(sent=0.0, status=200, pieces=[(1.0, STREAM[:cut]), (2.0, STREAM[cut:])], end=3.0))
    assert answer.chunks == [2.0, 2.0, 2.0]


def test_a_role_only_chunk_does_not_stop_the_clock():
    role = {"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    word = {"choices": [{"delta": {"content": "hi"}, "finish_reason": None}]}
    thought = {"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": None}]}
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    pieces = [(float(i), sse(m)) for i, m in enumerate((role, thought, word, end, b"[DONE]"))]
    answer = read(Exchange(sent=0.0, status=200, pieces=pieces, end=9.0))
    assert answer.chunks == [1.0, 2.0]
    assert answer.reasoning_chunks == 1


def test_errors_have_names():
    assert read(Exchange(sent=0, error="reset")).error == "reset"
    assert read(exchange(b"busy", [], 429)).error == "http_429"
    assert read(exchange(sse(text("a")), [])).error == "half_stream"
    assert read(exchange(sse(b"[DONE]"), [])).error == "empty"
    assert read(exchange(sse({"error": {"message": "no"}}), [])).error == "server_error"
    assert read(exchange(b"data: {nope\n\n", [])).error == "bad_json"


def test_chunks_of_several_tokens_are_spread():
    pieces = [(0.0, sse(text("aaaa"))), (0.08, sse(text("bbbb"))), (0.16, sse(text("cccc", "length")))]
    pieces.append((0.16, sse({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 12}}, b"[DONE]")))
    answer = read(Exchange(sent=0.0, status=200, pieces=pieces, end=0.2))
    np.testing.assert_allclose(token_intervals(answer), [0.02, 0.02])
    one = record(answer, start=0.0, intended=-0.5, sent=-0.4, end=0.2, prompt_tokens=1)
    assert one.ttft == 0.5, "from the intended time, not the actual one"
    assert one.output_tokens == 12


@given(st.lists(st.floats(min_value=0, max_value=1e3), min_size=1), st.floats(min_value=0, max_value=100))
def test_quantiles_are_numpys(values, percent):
    np.testing.assert_allclose(quantile(sorted(values), percent), np.percentile(values, percent), atol=1e-9)


def test_a_tally_adds_up():
    tally = Tally(RequestSLO(ttft=0.2))
    pieces = [(0.1 * i, sse(text("w"))) for i in range(1, 4)] + [(0.3, sse(text("w", "length"), b"[DONE]"))]
    good = read(Exchange(sent=0.0, status=200, pieces=pieces, end=0.3))
    bad = read(exchange(b"", [], 500))
    for answer in (good, good, bad):
        tally.add(record(answer, 0.0, 0.0, 0.0, 0.4, 7), token_intervals(answer))
    found = tally.metrics()
    assert tally.requests == tally.succeeded + sum(tally.errors.values()) == 3
    assert tally.errors == {"http_500": 1}
    assert found["goodput_ratio"] == 2 / 3
    assert abs(found["output_throughput"] - 8 / 0.4) < 1e-9
    assert set(found) <= set(metric_names())
    assert "1 of 3 requests failed" in tally.warnings()[0]


def test_prometheus_text_is_read_for_each_set_of_labels():
    body = b'# HELP a b\n# TYPE a gauge\na{x="1",y="} 5"} 2\na{x="2"} 3 1700000\nab 9\nb 7e1\nbroken\nc{} x\n'
    body += b"d NaN\n"
    assert parse_metrics(body, lines_of(["a", "b", "broken", "c", "d"])) == {"a": [2.0, 3.0], "b": [70.0]}


def test_reasoning_is_told_apart():
    thoughts = [{"choices": [{"delta": {"reasoning": w}}]} for w in ("hm", "so", "ah")]
    word = {"choices": [{"delta": {"content": "yes"}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"completion_tokens": 8}}
    answer = read(exchange(sse(*thoughts, word, usage, b"[DONE]"), []))
    tally = Tally(RequestSLO())
    tally.add(record(answer, 0.0, 0.0, 0.0, 1.0, 1), token_intervals(answer), chunk_intervals(answer))
    assert (answer.reasoning_chunks, tally.output_tokens, tally.reasoning_tokens) == (3, 8, 6)


def test_chunks_and_tokens_are_told_apart():
    pieces = [(0.08 * i, sse(text("aaaa"))) for i in range(3)]
    pieces.append((0.16, sse(text("", "length"), {"choices": [], "usage": {"completion_tokens": 12}}, b"[DONE]")))
    answer = read(Exchange(sent=0.0, status=200, pieces=pieces, end=0.2))
    tally = Tally(RequestSLO())
    tally.add(record(answer, 0.0, 0.0, 0.0, 0.2, 1), token_intervals(answer), chunk_intervals(answer))
    found = tally.metrics()
    np.testing.assert_allclose([found["chunk_interval_p50"], found["itl_p50"], found["tpot_p50"]], [0.08, 0.02, 0.02])


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FIELDS = st.sampled_from(["content", "reasoning_content", "reasoning", "other", "role"])
DELTAS = st.dictionaries(FIELDS, TEXT | st.none(), max_size=3)


@given(st.lists(st.tuples(DELTAS, st.booleans()), max_size=8), st.booleans())
def test_what_is_recognised_is_what_parsing_finds(given_deltas, ascii_only):
    """Events that look like the one before are not parsed; the counts are the same as if they were."""
    messages = [{"id": "x", "choices": [{"delta": d, "finish_reason": None}], "odd": odd} for d, odd in given_deltas]
    lines = [json.dumps(m, ensure_ascii=ascii_only).encode() for m in messages]
    pieces = [(float(when), sse(line)) for when, line in enumerate([*lines, *lines, b"[DONE]"])]
    answer = read(Exchange(sent=0.0, status=200, pieces=pieces, end=99.0))
    with_text = [d for d, _ in given_deltas if d.get("content") or d.get("reasoning_content") or d.get("reasoning")]
    reasoning = [d for d in with_text if d.get("reasoning_content") or d.get("reasoning")]
    assert (len(answer.chunks), answer.reasoning_chunks) == (2 * len(with_text), 2 * len(reasoning))


def test_fields_of_another_type_are_passed_over():
    odd = [{"choices": [{"delta": "x", "text": 3}]}, {"choices": ["x"]}, {"choices": 5, "usage": [1]}]
    usage = {"choices": [], "usage": {"prompt_tokens": "x", "completion_tokens": None}}
    answer = read(exchange(sse(*odd, text("a", "stop"), usage, b"[DONE]"), []))
    assert (answer.error, len(answer.chunks), answer.prompt_tokens, answer.output_tokens) == (None, 1, None, None)
    assert read(exchange(sse(b"[" * 100_000), [])).error == "bad_json"
