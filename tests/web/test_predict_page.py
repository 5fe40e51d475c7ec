"""Fitted coefficients and what they predict: of a study that was measured, and of a file."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from servelab.perf.models import StepTime
from servelab.perf.pair import Pair, estimate_pair
from servelab.perf.parameters import Fit, FittedWorkload, Origin, Parameters, file_data, parse_parameters
from servelab.spec.document import parse_study
from tests.web.served import Served

STUDY = """
name: levels
model: {id: m}
engine: {name: simulated, profile: h100-llama-3.1-8b, arguments: {time_scale: 20, startup_seconds: 0}}
workload: {prompt: 32, output: 16}
load: {concurrency: [1, 4, 8], seconds: 5, warmup: 1}
"""
FILE = json.dumps(file_data(estimate_pair(Pair(7.0, 8.7, 64, 15, 26, 128))))
SURE = json.dumps(
    file_data(
        Parameters(
            fits=(Fit.of(StepTime(0.002, 1e-5, 1e-5, 1e-9), covariance=((0.0,) * 4,) * 4),),
            decode="step-time",
            prefill="step-time",
            workload=FittedWorkload(prompt_tokens=128, output_tokens=64),
            provenance=Origin(method="given"),
        )
    )
)
LOAD = {"rate": 40, "prompt_tokens": 128, "output_tokens": 64}
ENDLESS = 1_000_000  # output tokens: what simulates them is still at it after minutes, unless it is ended


def of_length(prompt: float) -> dict:
    """Coefficients that say so of their requests."""
    found = json.loads(SURE)
    return {**found, "workload": {**found["workload"], "prompt_tokens": prompt}}


def simulations(served: Served) -> list[psutil.Process]:
    """Processes of the page server that simulate."""
    assert served.process is not None
    found = []
    for one in psutil.Process(served.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end while it is looked at
            if "servelab.web.simulation" in one.cmdline():
                found.append(one)
    return found


@pytest.fixture(scope="module")
def measured(served: Served) -> str:
    """A study that the simulated engine has run for real; again where the machine was too busy to measure."""
    for _ in range(4):
        answer = served.ask("/api/v1/studies", {"document": STUDY})
        assert answer.status == 201, answer.body
        study = str(answer.data["id"])
        wait_for(lambda: served.ask(f"/api/v1/studies/{study}").data["state"] in ("complete", "failed"), 400)  # noqa: B023
        fitted = served.ask(f"/api/v1/studies/{study}/coefficients")
        if fitted.status == 200:
            return study
    raise AssertionError(fitted.body)


def test_rest_fits_and_predicts(served: Served, measured: str) -> None:
    path = f"/api/v1/studies/{measured}/coefficients"
    found = parse_parameters(served.ask(path).body.decode(), "answer")
    assert found.provenance.simulated
    assert found.provenance.study == measured
    assert "kind: ConfigMap" in served.ask(f"{path}?form=config-map").body.decode()
    quick = served.ask("/api/v1/predict", {"study": measured, "rate": 5, "slo": ["ttft_mean <= 1s"]}).data
    assert quick["closed_form"]["highest_rate"] > 0
    assert "simulated engine" in " ".join(quick["closed_form"]["warnings"])


def test_rest_takes_a_file_and_simulates(served: Served) -> None:
    asked = {
        **LOAD,
        "parameters": json.loads(FILE),
        "requests": 500,
        "slo": ["ttft_p95 <= 200ms"],
        "method": "simulate",
    }
    found = served.ask("/api/v1/predict", asked).data["simulation"]
    assert found["requests"] == 500
    assert found["metrics"]["ttft_p95"]["value"] > found["metrics"]["ttft_p50"]["value"]
    assert found["capacity"]["replicas"] >= 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({**LOAD, "parameters": {"fits": []}}, "is not of the format"),
        (LOAD, "exactly one of study and parameters"),
        ({**LOAD, "parameters": json.loads(FILE), "slo": ["itl_p99 <= 1s"]}, "means only"),
        ({"rate": 1, "parameters": json.loads(FILE)}, "of which requests"),
        ({"rate": 1, "parameters": of_length(-1)}, "workload.prompt_tokens: Input should be greater than 0"),
        ({"rate": 1, "parameters": of_length(1e300)}, "workload.prompt_tokens: Input should be less than"),
    ],
)
def test_what_cannot_be_predicted_is_said(served: Served, asked: dict, said: str) -> None:
    answer = served.ask("/api/v1/predict", asked)
    assert answer.status == 422
    assert said in answer.data["message"]


def test_a_name_is_no_id(served: Served) -> None:
    study = served.store.create_study(parse_study(STUDY))
    for name in (study.study.name, study.id[:-1], ""):
        answer = served.ask("/api/v1/predict", {**LOAD, "study": name})
        assert (answer.status, answer.data["message"]) == (404, f"there is no study {name!r}")


def test_a_simulation_ends_quietly_when_nobody_waits_for_it(served: Served) -> None:
    asked = {**LOAD, "parameters": json.loads(SURE), "method": "simulate", "output_tokens": ENDLESS}
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(posted(served, "/api/v1/predict", asked))
        wait_for(lambda: bool(simulations(served)))
    wait_for(lambda: not simulations(served))
    assert served.ask("/api/v1/studies").status == 200
    assert "CancelledError" not in served.log


def posted(served: Served, path: str, body: dict) -> bytes:
    """A request as it goes over the wire."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


def test_a_file_of_very_long_requests_is_shown(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/predict")
    page.get_by_role("button", name="Coefficients from a file").click()
    page.get_by_label("parameters.json", exact=True).fill(json.dumps(of_length(2e6)))
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_text("prompt_tokens: Input should be less than or equal to 1000000")).to_be_visible()


def test_no_endless_work_is_taken(served: Served) -> None:
    for more in ({"requests": 10**9}, {"max_num_seqs": 10**9}, {"rate": -1}, {"draws": 10**6}):
        assert served.ask("/api/v1/predict", {**LOAD, "parameters": json.loads(FILE), **more}).status == 422


def test_the_page_answers_while_one_drags(served: Served, measured: str, page: Page) -> None:
    page.goto(f"{served.url}/predict?study={measured}")
    expect(page.get_by_text("these numbers describe no real machine")).to_be_visible()
    expect(page.get_by_text("ITL = alpha + beta * batch").first).to_be_visible()
    cell = page.locator("tr", has_text="E2E").first.locator("td").first
    before = cell.text_content()
    page.get_by_label("Output tokens", exact=True).fill("64")
    expect(cell).not_to_have_text(before or "")
    before = cell.text_content()
    page.get_by_label("Requests per second, slider").locator("[tabindex]").focus()
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    expect(cell).not_to_have_text(before or "")
    page.get_by_label("Output tokens", exact=True).fill(str(ENDLESS))
    page.get_by_role("button", name="Simulate").click()
    wait_for(lambda: bool(simulations(served)))
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    assert not simulations(served)
    page.get_by_label("Output tokens", exact=True).fill("64")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_text("Simulated, not measured")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("cell", name="TTFT p95")).to_be_visible()


def test_a_simulation_ends_when_its_page_goes_away(served: Served, browser: Browser) -> None:
    tab = browser.new_page()
    tab.goto(f"{served.url}/predict")
    tab.get_by_role("button", name="Coefficients from a file").click()
    tab.get_by_label("parameters.json", exact=True).fill(SURE)
    tab.get_by_role("button", name="Show it").click()
    tab.get_by_label("Output tokens", exact=True).fill(str(ENDLESS))
    tab.get_by_role("button", name="Simulate").click()
    wait_for(lambda: bool(simulations(served)))
    tab.close()
    wait_for(lambda: not simulations(served))


def wait_for(reached: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_pasted_file_is_shown_and_goes_out_in_other_forms(served: Served, page: Page, tmp_path: Path) -> None:
    page.goto(f"{served.url}/predict")
    expect(page.get_by_role("heading", name="Latency without measuring")).to_be_visible()
    page.get_by_role("button", name="Coefficients from a file").click()
    page.get_by_label("parameters.json", exact=True).fill("{}")
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_text("is not of the format")).to_be_visible()
    page.get_by_label("parameters.json", exact=True).fill(FILE)
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_role("heading", name="linear-prefill")).to_be_visible()
    page.get_by_role("button", name="VariantAutoscaling").click()
    page.get_by_label("Model, as requests name it").fill("meta-llama/Llama-3.1-8B")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    made = Path(download.value.path()).read_text()
    assert "modelID: meta-llama/Llama-3.1-8B" in made
    assert made.startswith("# Read by the Workload Variant Autoscaler")
