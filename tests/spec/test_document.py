"""Study documents: what is read, and how faults are told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.spec.document import field_names, parse_document, parse_study
from servelab.spec.errors import DocumentError

GOOD = """
name: small
model: {id: some/model}
engine: vllm
workload: {prompt: 100, output: {mean: 50, stdev: 10}}
load: {concurrency: [1, 4], requests: 20}
space:
  parameters:
    max_num_seqs: {low: 8, high: 256, log: true}
    kv_cache_dtype: [auto, fp8]
objectives: [maximize output_throughput]
constraints: [ttft_p95 <= 500ms]
budget: {wall_time: 1h30m}
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        parse_study(text, "s.yaml")
    return caught.value.problems


def test_a_study_is_read_with_its_short_forms():
    study = parse_study(GOOD)
    assert study.engine.name == "vllm"
    assert study.workload.prompt.min == study.workload.prompt.max == 100
    assert study.workload.output.upper == 100
    assert study.constraints[0].bound == 0.5
    assert study.budget.wall_time == 5400
    assert [point.level for point in study.load.points] == [1, 4]
    assert study.space is not None
    assert study.space.parameters["kv_cache_dtype"].values == ("auto", "fp8")


def test_json_is_read_too_and_round_trips():
    study = parse_study(GOOD)
    assert parse_study(study.model_dump_json()) == study


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("  parallell: 2", "unknown field `parallell` in `budget`, did you mean `parallel`?"),
        ("  trials: 0", "budget.trials: Input should be greater than 0"),
        ("  wall_time: 5 parsecs", "'5 parsecs' is not a duration"),
    ],
)
def test_a_fault_is_told_with_file_line_and_column(line, fault):
    text = GOOD.replace("budget: {wall_time: 1h30m}", f"budget:\n{line}")
    (told,) = problems(text)
    number = text.splitlines().index(line) + 1
    assert told.startswith(f"s.yaml:{number}:3: ")
    assert fault in told


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("ttft_p95 <=", "ttf_p95 <="), "unknown metric 'ttf_p95'; did you mean 'ttft_p95'?"),
        (("low: 8", "low: 512"), "low 512 is above high 256"),
        (("concurrency: [1, 4]", "rate: 1, concurrency: 1"), "give exactly one of concurrency, rate, ramp"),
        (("requests: 20", "warmup: 1"), "say how long a level lasts"),
        (("name: small", "name: ../etc"), "is not a valid name"),
        (("engine: vllm", "engine: {name: vllm, environment: {HF_TOKEN: x}}"), "looks like a secret"),
        (
            ("engine: vllm", "engine: {name: vllm, arguments: {max_num_seqs: 4}}"),
            "fixed in engine.arguments and changed",
        ),
        (("objectives: [maximize output_throughput]", ""), "a space is searched for an objective"),
        (("[auto, fp8]", "[auto, auto]"), "listed twice"),
        (("500ms]", "500ms at 7]"), "but the levels are [1.0, 4.0]"),
    ],
)
def test_contradictions_are_told(change, fault):
    assert any(fault in told for told in problems(GOOD.replace(*change)))


@pytest.mark.parametrize(
    "text", ["", "- 1", "a: [", "a: 1\na: 2", "version: 99\n" + GOOD, "x: !!python/name:os.system x"]
)
def test_what_is_no_study_is_told_without_a_traceback(text):
    assert all("Traceback" not in told for told in problems(text))


@given(st.text())
def test_any_text_is_a_study_or_a_document_error(text):
    try:
        parse_study(text)
    except DocumentError as error:
        assert error.problems  # noqa: PT017 - what is caught is the finding


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_a_study_or_a_document_error(data):
    with pytest.raises(DocumentError):
        parse_study(json.dumps(data))


def test_positions_point_into_the_text():
    document = parse_document("a:\n  b: [1, 2]\n", "f.yaml")
    assert document.where(("a", "b")) == "f.yaml:2:3"
    assert document.where(("a", "b", 1)) == "f.yaml:2:10"
    assert document.where(("a", "zzz")) == "f.yaml:1:1"


def test_field_names_follow_the_schema():
    assert "max_concurrency" in field_names(("load",))
    assert "ready" in field_names(("budget", "timeouts"))
    assert "log" in field_names(("space", "parameters", "anything"))
