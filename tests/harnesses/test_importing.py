"""Results that other load generators left: recognised, converted, and true.

``recorded/`` holds real outputs, made against the simulated engine with the versions that servelab drives (guidellm:
with 0.3.1, whose layout the parameter estimation pipelines read), and ``truth.json``: the engine's own counts of the
same runs. Paths in them were made relative; nothing else was changed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from servelab.harnesses.external.importing import import_reports
from servelab.harnesses.external.measured import Measured, Request, imported
from servelab.spec.errors import DocumentError
from servelab.spec.report import Report
from servelab.spec.workload import LoadPoint
from tests.lab.studies import servelab

RECORDED = Path(__file__).parent / "recorded"
TRUTH = json.loads((RECORDED / "truth.json").read_text())
SHARED = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared"))
"""Files of others that may not be copied into this repository; see CONTRIBUTING.md."""


def mean(truth: dict[str, float], name: str) -> float:
    return truth[f"{name}_seconds_sum"] / truth[f"{name}_seconds_count"]


@pytest.mark.parametrize(
    ("name", "file"), [("vllm-bench", "vllm-bench.json"), ("aiperf", "aiperf/profile_export_aiperf.json")]
)
def test_a_recorded_run_says_what_the_engine_saw(name, file):
    (report,) = import_reports(RECORDED / file)
    truth = TRUTH[name]
    assert report.provenance.harness == name
    assert report.provenance.model == "m"
    assert (report.load.kind, report.load.level) == ("concurrency", 4)
    assert report.requests == truth["e2e_request_latency_seconds_count"]
    assert report.errors == {}
    tokens = truth["prompt_tokens_total"] + truth["generation_tokens_total"]
    assert report.metrics["total_throughput"] * report.duration == pytest.approx(tokens)
    assert report.metrics["output_throughput"] * report.duration == pytest.approx(truth["generation_tokens_total"])
    assert 0 < report.metrics["ttft_mean"] - mean(truth, "time_to_first_token") < 0.01
    assert report.metrics["itl_mean"] == pytest.approx(mean(truth, "inter_token_latency"), rel=0.02)
    assert report.metrics["e2e_mean"] == pytest.approx(mean(truth, "e2e_request_latency"), rel=0.05)
    latency = report.standard["results"]["request_performance"]["aggregate"]["latency"]
    ttft = latency["time_to_first_token"]
    scale = {"ms": 1e-3, "s": 1.0}[ttft["units"]]
    assert ttft["mean"] * scale == pytest.approx(report.metrics["ttft_mean"], rel=1e-3)
    assert report.standard["scenario"]["load"]["standardized"]["concurrency"] == 4


@pytest.mark.parametrize(("kind", "requests"), [("synchronous", 8), ("throughput", 16)])
def test_guidellm_before_its_present_layout(kind, requests):
    file = RECORDED / f"guidellm-0.3-{kind}.json"
    (report,) = import_reports(file)
    theirs = json.loads(file.read_text())["benchmarks"][0]["metrics"]
    assert report.requests == requests
    assert report.load.label == ("concurrency 1" if kind == "synchronous" else "at most 16")
    assert report.provenance.model == "m"
    for ours, name in (("ttft", "time_to_first_token_ms"), ("itl", "inter_token_latency_ms")):
        assert report.metrics[f"{ours}_mean"] == pytest.approx(theirs[name]["successful"]["mean"] / 1000, rel=1e-6)
    seconds = theirs["request_latency"]["successful"]["mean"]
    assert report.metrics["e2e_mean"] == pytest.approx(seconds, rel=0.01)


def test_genai_bench_of_this_version():
    (report,) = import_reports(RECORDED / "genai-bench.json")
    assert report.provenance.harness == "genai-bench"
    assert report.requests == 108  # of the 100 that it was asked for
    assert report.metrics["tpot_mean"] == pytest.approx(0.00664, abs=1e-5)
    assert report.metrics["ttft_p99"] == pytest.approx(0.03786, abs=1e-5)


def test_what_the_inference_autotuner_kept_of_genai_bench():
    file = SHARED / "data" / "autotuner" / "results" / "docker-simple-tune_results.json"
    if not file.is_file():
        pytest.skip(f"{file} is not here; set SERVELAB_SHARED to where such files are")
    reports = import_reports(file)
    assert [(r.load.label, r.requests) for r in reports] == [
        ("concurrency 4", 52),
        ("concurrency 1", 55),
        ("concurrency 4", 52),
        ("concurrency 1", 54),
    ]
    assert reports[0].metrics["ttft_mean"] == pytest.approx(0.0388866, rel=1e-5)
    assert reports[0].metrics["output_throughput"] == pytest.approx(1729.74, rel=1e-5)
    # Little's law ties three figures that genai-bench reports apart.
    little = reports[0].metrics["request_throughput"] * reports[0].metrics["e2e_mean"]
    assert little == pytest.approx(4, rel=0.1)
    with pytest.raises(DocumentError, match="no measurement"):
        import_reports(file.with_name("simple-tune_results.json"))


def test_the_command_prints_a_table_and_json(tmp_path):
    files = [str(RECORDED / "vllm-bench.json"), str(RECORDED / "guidellm-0.3-synchronous.json")]
    done = servelab("import-report", *files)
    assert "vllm-bench" in done.stdout
    assert "guidellm" in done.stdout
    found = json.loads(servelab("import-report", *files, "--json").stdout)
    assert [entry["report"]["provenance"]["harness"] for entry in found] == ["vllm-bench", "guidellm"]


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"benchmarks": []}', '{"all_results": [{"metrics": null}]}'])
def test_other_json_is_refused(tmp_path, content):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(DocumentError, match="no measurement of a known load generator"):
        import_reports(file)


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        '{"benchmarks": [{"requests": {"successful": [{}]}, "metrics": {}}]}',
        '{"load_summary": {}, "successes": {}, "failures": {}}',
        '{"aggregated_metrics": {"stats": {}}}',
        '{"model_id": "m", "completed": "x", "duration": 1, "mean_ttft_ms": 1}',
        '{"input_config": 3, "request_latency": {}}',
    ],
)
def test_damaged_files_are_told_in_a_sentence(tmp_path, content):
    file = tmp_path / "damaged.json"
    file.write_text(content)
    with pytest.raises(DocumentError):
        import_reports(file)


def late(max_concurrency: int | None) -> Report:
    """Due every 10 ms, served one at a time in 100 ms each: what comes later waits for longer."""
    requests = tuple(
        Request(intended=0.01 * n, sent=0.1 * n, first=0.1 * n + 0.05, last=0.1 * n + 0.09, end=0.1 * n + 0.09)
        for n in range(20)
    )
    load = LoadPoint(kind="constant", level=100, requests=20)
    return imported(Measured(harness="h", load=load, requests=requests, max_concurrency=max_concurrency))


def test_whether_the_client_or_the_server_was_late_is_told_from_the_requests():
    capped, slow, unknown = late(1), late(2), late(None)
    assert {report.client.verdict for report in (capped, slow, unknown)} == {"saturated"}
    assert [report.client_bound for report in (capped, slow, unknown)] == [False, True, True]
