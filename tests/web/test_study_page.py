"""A study's page and its trials' pages, while it runs and after; the same by REST."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.finished import create, finish
from tests.web.seen import copied, note, noted
from tests.web.served import Served

STUDY = """
name: trialled
model: {id: meta-llama/Llama-3.1-8B-Instruct}
engine:
  name: simulated
  profile: h100-llama-3.1-8b
  arguments: {max_model_len: 8192, time_scale: 0.1, startup_seconds: 0}
  environment: {OMP_NUM_THREADS: "1"}
  environment_from: [HF_TOKEN]
workload: {prompt: {mean: 128, stdev: 16, min: 16, max: 256}, output: {mean: 16, stdev: 4, min: 4, max: 32}}
load: {concurrency: 8, requests: 48, warmup: 4}
baseline: {gpu_memory_utilization: 0.9}
treatments:
  - {gpu_memory_utilization: 0.9, max_num_seqs: 64}
  - {gpu_memory_utilization: 0.8, max_num_seqs: 4}
  - {gpu_memory_utilization: 0.02, max_num_seqs: 4}
objectives: [maximize output_throughput]
constraints: [ttft_p50 <= 100s]
budget: {verification: {top: 0}}
"""
TRIALS = 4
FAILED = 3
SOON = 120_000  # milliseconds
DRAWN = "[...document.querySelectorAll('.chart canvas')].filter((one) => one.width > 0).length"
DESIGN = re.sub(r"objectives.*\nconstraints.*\n", "", STUDY).replace("concurrency: 8", "concurrency: [2, 8]")


@pytest.fixture(scope="module")
def study(served: Served) -> str:
    found = create(served, STUDY)
    assert finish(served, found)[found]["state"] == "complete"
    return found


def test_a_study_is_watched_from_its_start_to_its_answer_without_reloading(served: Served, page: Page) -> None:
    study = create(served, STUDY.replace("startup_seconds: 0", "startup_seconds: 5"), start=False)
    page.goto(f"{served.url}/studies/{study}")
    expect(page.get_by_text("Not started yet.")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("appears here when the first one has ended")).to_be_visible()
    page.evaluate("window.same = true")
    note(page, ".now", "Trial ")
    page.get_by_role("button", name="Start", exact=True).click()
    noted(page)
    expect(page.locator(".head .state").first).to_have_text("complete", timeout=400_000)
    expect(page.locator(".progress")).to_contain_text(f"{TRIALS} of {TRIALS} trials have ended, 1 failed")
    for number in range(TRIALS):
        expect(page.get_by_role("link", name=f"Trial {number}", exact=True)).to_be_visible(timeout=SOON)
    expect(page.locator(".trials .state", has_text="complete")).to_have_count(TRIALS - 1, timeout=SOON)
    expect(page.locator(".trials .state", has_text="failed")).to_have_count(1)
    expect(page.get_by_role("heading", name="Answer")).to_be_visible(timeout=SOON)
    page.wait_for_function(f"{DRAWN} >= 3", timeout=SOON)
    assert page.evaluate("window.same"), "the page was loaded again"
    page.get_by_role("link", name="Trial 1", exact=True).click()
    expect(page.get_by_role("heading", name="Trial 1")).to_be_visible(timeout=SOON)


def test_the_table_is_filtered_and_sorted_by_the_server(served: Served, study: str, page: Page) -> None:
    page.goto(f"{served.url}/studies/{study}")
    expect(page.get_by_role("link", name="Trial 0", exact=True)).to_be_visible(timeout=SOON)
    page.get_by_label("Search trials").fill("max_num_seqs=4")
    expect(page.get_by_role("link", name="Trial 0", exact=True)).to_have_count(0, timeout=SOON)
    expect(page.get_by_role("link", name="Trial 2", exact=True)).to_be_visible()
    page.get_by_label("Search trials").fill("")
    page.locator(".trials .ag-header-cell", has_text="output_throughput").click()
    # The failed one has no value: it is last, whichever way.
    last = page.locator(f'.trials .ag-pinned-left-cols-container .ag-row[row-index="{TRIALS - 1}"]')
    expect(last).to_have_text(str(FAILED), timeout=SOON)


def test_a_trial_says_what_ran_and_what_each_request_did(served: Served, study: str, page: Page) -> None:
    page.goto(f"{served.url}/studies/{study}/trials/2")
    expect(page.locator("pre.command")).to_contain_text("--max-num-seqs 4", timeout=SOON)
    copied(page, page.get_by_role("button", name="Copy the command"))
    differs = page.locator("tr", has_text="gpu_memory_utilization")
    expect(differs).to_contain_text("0.8")
    expect(differs).to_contain_text("yes")
    expect(page.get_by_text("HF_TOKEN")).to_be_visible()
    for title in ("Time spent", "Time to first token", "Inter-token latency", "Requests one by one", "Engine log"):
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    page.wait_for_function(f"{DRAWN} >= 3", timeout=SOON)
    expect(page.locator("pre").last).to_contain_text("SIMULATED engine")


def test_a_failed_trial_says_why_and_what_to_do(served: Served, study: str, page: Page) -> None:
    page.goto(f"{served.url}/studies/{study}/trials/{FAILED}")
    failure = served.ask(f"/api/v1/studies/{study}/trials/{FAILED}").data["failure"]
    expect(page.locator(".notice.bad")).to_contain_text(failure["message"], timeout=SOON)
    expect(page.get_by_text(f"What to do: {failure['remedy']}")).to_be_visible()
    expect(page.get_by_text("Nothing was measured.")).to_be_visible()


def test_a_study_without_an_objective_shows_curves_over_the_load(served: Served, page: Page) -> None:
    study = create(served, DESIGN)
    finish(served, study)
    page.goto(f"{served.url}/studies/{study}")
    expect(page.get_by_role("heading", name="Output throughput over the load")).to_be_visible(timeout=SOON)
    page.wait_for_function(f"{DRAWN} >= 2", timeout=SOON)
    expect(page.get_by_text("names no objective")).to_be_visible(timeout=SOON)


def test_what_is_not_there_is_said(served: Served, study: str, page: Page) -> None:
    page.goto(f"{served.url}/studies/no-such")
    expect(page.get_by_role("heading", name="There is no study no-such")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("servelab status")).to_have_count(0)
    page.goto(f"{served.url}/studies/{study}/trials/99")
    expect(page.get_by_role("heading", name="has no trial 99")).to_be_visible(timeout=SOON)


def test_trials_by_rest_are_paged_sorted_and_filtered(served: Served, study: str) -> None:
    def ask(query: str) -> tuple[int, list[int]]:
        found = served.ask(f"/api/v1/studies/{study}/trials?{query}").data
        return found["total"], [trial["number"] for trial in found["trials"]]

    assert ask("") == (TRIALS, [0, 1, 2, 3])
    assert ask("offset=1&limit=2") == (TRIALS, [1, 2])
    assert ask("state=failed") == (1, [FAILED])
    assert ask("text=max_num_seqs%3D4") == (2, [2, 3])
    values = {
        one["number"]: one["metrics"]["output_throughput"]["value"]
        for one in served.ask(f"/api/v1/studies/{study}/trials").data["trials"]
        if one["metrics"]
    }
    fastest = sorted(values, key=lambda number: -values[number])
    assert ask("sort=output_throughput&order=desc") == (TRIALS, [*fastest, FAILED])
    assert ask("sort=output_throughput&order=asc") == (TRIALS, [*reversed(fastest), FAILED])


def test_intervals_are_those_of_the_report(served: Served, study: str) -> None:
    line = served.ask(f"/api/v1/studies/{study}/trials").data["trials"][1]
    report = served.ask(f"/api/v1/studies/{study}/trials/1").data["measurements"][0]["report"]
    assert [line["metrics"]["ttft_p50"][side] for side in ("low", "high")] == report["intervals"]["ttft_p50"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("sort=nothing", 422), ("limit=0", 422), ("limit=501", 422), ("offset=-1", 422), ("state=odd", 422), ("x=1", 422)],
)
def test_odd_questions_are_refused(served: Served, study: str, query: str, status: int) -> None:
    assert served.ask(f"/api/v1/studies/{study}/trials?{query}").status == status


@pytest.mark.parametrize("path", ["99", "99/log", "1/records?point=7", f"{FAILED}/records", "-1", "..%2f..%2fx/log"])
def test_what_is_not_there_is_not_found(served: Served, study: str, path: str) -> None:
    assert served.ask(f"/api/v1/studies/{study}/trials/{path}").status in (404, 422)


def test_files_of_a_trial_are_downloaded(served: Served, study: str) -> None:
    log = served.ask(f"/api/v1/studies/{study}/trials/1/log")
    assert b"SIMULATED engine" in log.body
    assert "attachment" in log.headers["content-disposition"]
    tail = served.ask(f"/api/v1/studies/{study}/trials/1/log?tail=80").body
    assert 0 < len(tail) <= 80
    assert log.body.endswith(tail)
    records = served.ask(f"/api/v1/studies/{study}/trials/1/records")
    lines = gzip.decompress(records.body).splitlines()
    reports = served.ask(f"/api/v1/studies/{study}/trials/1/reports").data
    assert len(lines) == reports[0]["report"]["requests"] == 48
    assert json.loads(lines[0])["first"] > 0
