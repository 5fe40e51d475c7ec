"""Results that other load generators left: recognised, converted, and true.

``recorded/NAME/`` holds real outputs, made by record.py against the simulated engine with the versions that servelab
drives, and in ``truth.json`` the engine's own counts of the same run; ``guidellm-0.3-*`` are of that version, whose
layout the parameter estimation pipelines read. Paths in them were made relative; nothing else was changed.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from servelab.harnesses.external.importing import import_reports
from servelab.harnesses.external.measured import Measured, Request, imported
from servelab.spec.errors import DocumentError
from servelab.spec.load import LoadPoint
from servelab.spec.report import Report
from tests.harnesses.real import OUTPUT, PROMPT, WARMUP, mean
from tests.harnesses.record import RECORDED, REQUESTS
from tests.lab.studies import servelab

SHARED = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared"))
"""Files of others that may not be copied into this repository; see CONTRIBUTING.md."""

RESULTS = {
    "aiperf": "profile_export_aiperf.json",
    "genai-bench": "D50_20_text-to-text_num_concurrency_4_time_1s.json",
    "guidellm": "guidellm.json",
    "inference-perf": "stage_1_lifecycle_metrics.json",
    "vllm-bench": "vllm-bench.json",
}
SAY_NO_VERSION = ("inference-perf", "vllm-bench")


@pytest.mark.parametrize("name", RESULTS)
def test_a_recorded_run_says_what_the_engine_saw(name):
    (report,) = import_reports(RECORDED / name / RESULTS[name])
    truth = json.loads((RECORDED / name / "truth.json").read_text())
    made = report.provenance
    assert (made.harness, made.model) == (name, "m")
    assert (made.harness_version == "unknown") == (name in SAY_NO_VERSION)
    assert (report.load.kind, report.load.level) == ("concurrency", 4)
    answered = truth["e2e_request_latency_seconds_count"]
    if name == "genai-bench":  # it tells no warm-up apart, and looks once a second whether it is done
        assert REQUESTS + WARMUP <= report.requests <= answered
    else:
        assert report.requests == REQUESTS == answered - WARMUP
    assert report.errors == {}
    metrics = report.metrics
    assert metrics["output_throughput"] * report.duration == pytest.approx(report.requests * OUTPUT)
    prompt = truth["prompt_tokens_total"] / truth["time_to_first_token_seconds_count"]
    assert PROMPT * 0.85 <= prompt <= PROMPT
    assert metrics["total_throughput"] / metrics["request_throughput"] == pytest.approx(prompt + OUTPUT, rel=0.02)
    assert 0 < metrics["ttft_mean"] - mean(truth, "time_to_first_token") < 0.015
    # What ends genai-bench makes it late for the four that are in flight then: a seventh of all of this short run.
    share = 0.2 if name == "genai-bench" else 0.03
    assert metrics["itl_mean"] == pytest.approx(mean(truth, "inter_token_latency"), rel=share)
    assert metrics["tpot_p50"] == pytest.approx(mean(truth, "inter_token_latency"), rel=0.03)
    assert metrics["e2e_p50"] == pytest.approx(mean(truth, "e2e_request_latency"), rel=0.1)
    latency = report.standard["results"]["request_performance"]["aggregate"]["latency"]
    ttft = latency["time_to_first_token"]
    # guidellm's own warm-up takes a request more or less than it was told.
    assert ttft["mean"] * {"ms": 1e-3, "s": 1.0}[ttft["units"]] == pytest.approx(metrics["ttft_mean"], rel=0.1)
    assert report.standard["scenario"]["load"]["standardized"]["concurrency"] == 4


@pytest.mark.parametrize(("name", "theirs"), [("vllm-bench", "ttfts"), ("genai-bench", "ttft")])
def test_percentiles_are_of_the_records(name, theirs):
    (report,) = import_reports(RECORDED / name / RESULTS[name])
    data = json.loads((RECORDED / name / RESULTS[name]).read_text())
    if name == "vllm-bench":
        assert report.metrics["ttft_p99"] == pytest.approx(data["p99_ttft_ms"] / 1000)
        assert report.metrics["itl_p90"] == pytest.approx(data["p90_itl_ms"] / 1000)
        assert report.metrics["ttft_max"] == max(data[theirs])
        return
    stats = data["aggregated_metrics"]["stats"]
    for statistic in ("mean", "p50", "p90", "p95", "p99", "max"):
        for ours, of in (("ttft", theirs), ("tpot", "tpot"), ("e2e", "e2e_latency")):
            assert report.metrics[f"{ours}_{statistic}"] == pytest.approx(stats[of][statistic])


def test_genai_bench_in_milliseconds_without_records_and_given_up(tmp_path):
    data = json.loads((RECORDED / "genai-bench" / RESULTS["genai-bench"]).read_text())
    (seconds,) = import_reports(RECORDED / "genai-bench" / RESULTS["genai-bench"])
    file = tmp_path / "result.json"
    times = ("ttft", "tpot", "e2e_latency", "output_latency")
    for entry in data["individual_request_metrics"]:
        entry.update({name: entry[name] * 1000 for name in times})
    file.write_text(json.dumps({**data, "_time_unit": "ms"}))
    (report,) = import_reports(file)
    assert report.metrics == pytest.approx(seconds.metrics)

    del data["individual_request_metrics"]
    file.write_text(json.dumps(data))
    (report,) = import_reports(file)
    for name in ("ttft_p99", "tpot_mean", "e2e_p50", "output_throughput"):
        assert report.metrics[name] == pytest.approx(seconds.metrics[name], rel=1e-6)

    failed = dict.fromkeys(seconds.metrics) | {"error_code": 503}
    raw = {"num_concurrency": 4, "run_duration": None}
    file.write_text(json.dumps({"aggregated_metrics": raw, "individual_request_metrics": [failed] * 3}))
    (report,) = import_reports(file)
    assert (report.requests, report.errors) == (3, {"http 503": 3})
    assert "gave the run up" in report.warnings[0]


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


@pytest.mark.parametrize("file", ["guidellm-0.3-throughput.json", "guidellm/guidellm.json"])
def test_a_guidellm_report_that_kept_a_few_records_gives_its_own_figures(file, tmp_path):
    """0.4 to 0.6 keep ten unless they are told otherwise: rates of those would be wrong by the rest."""
    (whole,) = import_reports(RECORDED / file)
    data = json.loads((RECORDED / file).read_text())
    (benchmark,) = data["benchmarks"]
    benchmark["requests"]["successful"] = benchmark["requests"]["successful"][:10]
    made = benchmark["metrics"].get("request_totals") or benchmark["run_stats"]["requests_made"]
    made["errored"] = 1
    sampled = tmp_path / "sampled.json"
    sampled.write_text(json.dumps(data))
    (report,) = import_reports(sampled)
    assert report.requests == made["successful"] + 1
    assert report.errors == {"failed": 1}
    assert (
        report.warnings[-1] == f"guidellm kept the records of 10 of {report.requests} requests: the figures are its own"
    )
    # Of 0.8, which leaves its warm-up out by another rule; of percentiles by another definition: nearly the same.
    for name in ("ttft_mean", "itl_mean", "e2e_mean", "e2e_p50", "output_throughput", "request_throughput"):
        assert report.metrics[name] == pytest.approx(whole.metrics[name], rel=0.3), name
    assert report.metrics["total_throughput"] > report.metrics["output_throughput"]
    assert "tpot_mean" not in report.metrics


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
    files = [str(RECORDED / "vllm-bench" / "vllm-bench.json"), str(RECORDED / "guidellm-0.3-synchronous.json")]
    done = servelab("import-report", *files)
    assert "vllm-bench" in done.stdout
    assert "guidellm" in done.stdout
    found = json.loads(servelab("import-report", *files, "--json").stdout)
    assert [entry["report"]["provenance"]["harness"] for entry in found] == ["vllm-bench", "guidellm"]


def test_a_folder_of_results_is_read_as_a_whole(tmp_path):
    """Records and settings that lie beside a result are read with it; what is nothing known is told, after the rest."""
    files = sorted((RECORDED / "inference-perf").glob("*.json"))
    done = servelab("import-report", *map(str, files), check=False)
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [
        "stage_0_lifecycle_metrics.json",
        "stage_1_lifecycle_metrics.json",
    ]
    assert "truth.json: no measurement of a known load generator" in done.stderr
    assert "per_request" not in done.stderr


def test_files_of_one_name_are_told_apart(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        shutil.copy(RECORDED / "vllm-bench" / "vllm-bench.json", tmp_path / place / "r.json")
    done = servelab("import-report", *(str(tmp_path / place / "r.json") for place in ("a", "b")))
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["a/r.json", "b/r.json"]


@pytest.mark.parametrize("name", RESULTS)
def test_intervals_and_a_verdict_on_the_client_are_in_every_report(name):
    (report,) = import_reports(RECORDED / name / RESULTS[name])
    assert report.intervals.keys() <= report.metrics.keys()
    low, high = report.intervals["ttft_p50"]
    assert low <= report.metrics["ttft_p50"] <= high
    assert report.client.verdict == "unknown"
    assert report.standard["results"]["observability"]["servelab"]["client_health"]["verdict"] == "unknown"


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


def test_no_file_is_a_fault(home):
    done = servelab("import-report", check=False)
    assert done.returncode == 2
    assert "no file is given" in done.stderr
