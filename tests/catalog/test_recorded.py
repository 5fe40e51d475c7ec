"""Traces and data sets, in the layouts that people have."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelab.catalog.recorded import RecordedError, read_dataset, read_trace
from servelab.catalog.study import load_study
from servelab.spec.errors import DocumentError, NotFoundError
from servelab.spec.workload import Trace

ROWS = st.lists(
    st.tuples(st.integers(0, 10**7), st.integers(1, 100_000), st.integers(1, 4000)), min_size=1, max_size=30
)
EPOCH = datetime(2023, 11, 16, 18, 15, 46, tzinfo=UTC)

STUDY = """
name: s
model: {id: m}
engine: simulated
workload: %s
load: {concurrency: 1, requests: 10}
"""


def as_csv(header: str, rows: list[list[object]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header.split(","), *rows])
    return out.getvalue()


def written(kind: str, rows: list[tuple[int, int, int]]) -> str:
    """Rows of (milliseconds, prompt, output) as a trace of this format."""
    if kind == "mooncake":
        return "".join(
            json.dumps({"timestamp": ms, "input_length": a, "output_length": b, "hash_ids": [1, 2]}) + "\n"
            for ms, a, b in rows
        )
    if kind == "azure":  # seven decimals, no time zone
        times = [f"{EPOCH + timedelta(milliseconds=ms):%Y-%m-%d %H:%M:%S.%f}0" for ms, _, _ in rows]
        lines = [[t, a, b] for t, (_, a, b) in zip(times, rows, strict=True)]
        return as_csv("TIMESTAMP,ContextTokens,GeneratedTokens", lines)
    if kind == "burstgpt":
        header = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
        return as_csv(header, [[ms / 1000, "GPT-4", a, b, a + b, "API log"] for ms, a, b in rows])
    return as_csv("timestamp,input,output", [[ms / 1000, a, b] for ms, a, b in rows])


@pytest.mark.parametrize("kind", ["mooncake", "azure", "burstgpt", "columns"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(ROWS)
def test_every_format_reads_as_it_was_written(tmp_path, kind, rows):
    path = tmp_path / "trace"
    path.write_text(written(kind, rows))
    found = read_trace(Trace(path=str(path), format=kind))
    first = min(ms for ms, _, _ in rows)
    assert [row.when for row in found] == pytest.approx(sorted((ms - first) / 1000 for ms, _, _ in rows), abs=2e-6)
    assert sorted((r.prompt_tokens, r.output_tokens) for r in found) == sorted((a, b) for _, a, b in rows)
    assert all(row.blocks == ((1, 2) if kind == "mooncake" else ()) for row in found)


def test_zones_names_of_ones_own_and_failed_requests(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "\ufeffat,in,out,more\n2024-05-10 00:00:01.5+00:00,10,5,x\n2024-05-10T02:00:00+02:00,20,0,x\n"
        "2024-05-10 00:00:02,30,7,x\n",
        encoding="utf-8",
    )
    columns = {"timestamp": "at", "input": "in", "output": "out"}
    found = read_trace(Trace(path=str(path), format="columns", columns=columns))
    assert [(row.when, row.prompt_tokens) for row in found] == [(0.0, 10), (0.5, 30)], "no output: it had failed"
    assert len(read_trace(Trace(path=str(path), format="columns", columns=columns, limit=1))) == 1


@pytest.mark.parametrize(
    ("kind", "text", "fault"),
    [
        ("azure", "Timestamp,Request tokens,Response tokens\n1,2,3\n", ":2: there is no column 'ContextTokens'"),
        ("columns", "timestamp,input,output\nnoon,2,3\n", ":2: Invalid isoformat"),
        ("columns", "timestamp,input,output\n1,2\n", ":2: "),
        ("columns", "timestamp,input,output\ninf,1,2\n", ":2: 'inf' is no time"),
        ("columns", "timestamp,input,output\n", "has no request"),
        ("mooncake", "[1]\n", ":1: this is no JSON object"),
        ("mooncake", "\n{\n", ":2: this is not JSON"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path, kind, text, fault):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(RecordedError, match=fault):
        read_trace(Trace(path=str(path), format=kind))


def test_what_is_no_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\x1f\x8b\xff\xfe")
    with pytest.raises(RecordedError, match="no text in UTF-8"):
        read_trace(Trace(path=str(tmp_path / "t.csv"), format="azure"))
    with pytest.raises(NotFoundError, match="No such file"):
        read_dataset(str(tmp_path / "none.jsonl"))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ({}, "exactly one of `prompt` and `messages`"),
        ({"prompt": "a", "messages": []}, "exactly one"),
        ({"prompt": ""}, "`prompt` is no text"),
        ({"messages": ["hello"]}, "`messages` is no list"),
        ({"prompt": "a", "output_tokens": 0}, "`output_tokens` is no positive number"),
    ],
)
def test_a_bad_line_of_a_data_set(tmp_path, line, fault):
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"prompt": "fine"}) + "\n" + json.dumps(line))
    with pytest.raises(RecordedError, match=f"d.jsonl:2: .*{fault}"):
        read_dataset(str(path))


def test_a_study_reads_what_lies_beside_it(tmp_path):
    (tmp_path / "t.csv").write_text("timestamp,input,output\n0,100,10\n2,300,30\n")
    (tmp_path / "d.jsonl").write_text('{"prompt": "four", "output_tokens": 7}\n{"prompt": "four four"}\n')
    source = str(tmp_path / "s.yaml")
    traced = load_study(STUDY % "{trace: {path: t.csv, format: columns}}", source).workload
    assert traced.trace
    assert traced.trace.path == str(tmp_path / "t.csv")
    assert (traced.prompt.mean, traced.prompt.upper, traced.output.min, traced.longest) == (200, 300, 10, 330)
    data = load_study(STUDY % "{dataset: d.jsonl, output: 9}", source).workload
    assert data.dataset == str(tmp_path / "d.jsonl")
    assert data.output.mean == 9
    assert load_study(STUDY.replace("concurrency: 1, requests: 10", "replay: 2") % traced.model_dump_json(), source)


@pytest.mark.parametrize(
    ("workload", "fault"),
    [
        ("{trace: {path: none.csv, format: azure}}", "s.yaml:5:1: cannot read .*none.csv"),
        ("{trace: {path: x.csv, format: azur}}", "s.yaml:5:33: workload.trace.format: Input should be 'mooncake'"),
        ("{dataset: d.jsonl}", "`workload.output` is missing"),
        ("{prompt: 1, output: 1, extra: {stream: false}}", "workload.extra: the workload itself decides stream"),
        ("{prompt: 1, output: 1, extra: {a: .nan}}", "workload.extra"),
        ("{dataset: d.jsonl, output: 1, prefix: {tokens: 3}}", "a data set has its own prompts"),
        ("{prompt: {distribution: uniform, min: 3}, output: 1}", "given by min and max"),
        ("{prompt: {distribution: lognormal, mean: 3}, output: 1}", "needs a stdev"),
        ("{prompt: {distribution: uniform, min: 3, max: 9, mean: 4}, output: 1}", "leave the mean out"),
        ("{prompt: {distribution: fixed, mean: 3, stdev: 1}, output: 1}", "has no stdev"),
    ],
)
def test_faults_of_a_workload(tmp_path, workload, fault):
    (tmp_path / "d.jsonl").write_text('{"prompt": "a"}\n')
    with pytest.raises(DocumentError, match=fault):
        load_study(STUDY % workload, str(tmp_path / "s.yaml"))


def test_a_replay_needs_a_trace():
    with pytest.raises(DocumentError, match=r"add workload\.trace"):
        load_study(STUDY.replace("concurrency: 1, requests: 10", "replay: 1") % "{prompt: 1, output: 1}")
