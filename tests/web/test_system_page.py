"""What this machine has and what is wrong with it: on the page, by REST, and for Prometheus."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from servelab.catalog.study import load_study
from servelab.platforms.marked import OWNER
from servelab.spec.deployment import Mark
from servelab.spec.trial import Trial
from tests.lab.gpus import Box, uuid
from tests.web.served import Served

ENGINE = "import time; time.sleep(600)"
STUDY = (Path(__file__).parent.parent.parent / "examples" / "simulated.yaml").read_text()


def test_prometheus_reads_what_there_is(served: Served) -> None:
    served.store.create_study(load_study(STUDY))
    answer = served.ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['servelab_studies{state="waiting"}'] == "1"
    assert values['servelab_trials{state="running"}'] == "0"
    assert float(values["servelab_events_total"]) >= 1
    assert float(values["process_resident_memory_bytes"]) > 1e7
    form = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"\})? [-+0-9.e]+|# (HELP|TYPE) [a-z_]+ .+')
    assert all(form.fullmatch(line) for line in lines)


def test_rest_tells_the_machine_without_secrets(served: Served) -> None:
    found = served.ask("/api/v1/system").data
    assert found["store"].endswith("servelab.db")
    assert found["versions"]["engines"]["simulated"]
    assert {one["verdict"] for one in served.ask("/api/v1/doctor").data} <= {"ok", "note", "problem"}
    assert served.ask("/api/v1/leftovers").data == {"leftovers": [], "unreachable": []}


def test_accelerators_tell_who_holds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Page) -> None:
    box = Box(tmp_path, [0, 60_000_000_000, 0])
    for name, value in box.environment.items():
        monkeypatch.setenv(name, value)
    served = Served(tmp_path / "home").start()
    try:
        store = served.store
        study = store.create_study(load_study(STUDY)).id
        held = [f"{os.uname().nodename}/{uuid(2)}"]
        assert store.acquire_devices(study, 0, "worker", held, 1)
        found = served.ask("/api/v1/system").data["accelerators"]
        assert [(one["index"], one["study"], one["used"] > 10**9) for one in found] == [
            (0, None, False),
            (1, None, True),
            (2, study, False),
        ]
        store.add_trials(study, [Trial(number=0, parameters={})])
        page.goto(f"{served.url}/studies/{study}")
        expect(page.locator(".now")).to_have_text("Not started yet.", timeout=30_000)
        expect(page.get_by_text("Accelerator 2")).to_be_hidden()
        assert store.claim(study, "worker") is not None
        use = page.get_by_text("Accelerator 2 (trial 0)")
        expect(use).to_contain_text(" 0.0 of 103 GB in use", timeout=30_000)
        box.use([0, 0, 45_600_000_000])
        expect(use).to_contain_text(" 45.6 of 103 GB in use, busy 87%", timeout=30_000)
        expect(page.get_by_text("Accelerator 1")).to_have_count(0)
    finally:
        served.stop()


def test_workers_and_leftovers(served: Served, page: Page) -> None:
    store = served.store
    study = store.create_study(load_study(STUDY)).id
    store.set_study_state(study, "running", "")
    store.add_trials(study, [Trial(number=0, kind="search", parameters={})])
    worker = f"{os.uname().nodename}/{os.getpid()}/0/abc"
    assert store.claim(study, worker)
    # What a worker leaves that is killed: marked, and its owner is no more.
    marked = {**os.environ, **Mark(study=study, trial=0).environment, OWNER: "1/1"}
    left = subprocess.Popen([sys.executable, "-c", ENGINE], env=marked, start_new_session=True)
    try:
        page.goto(f"{served.url}/system")
        expect(page.locator("tr", has_text=f"process {os.getpid()}")).to_contain_text(study)
        expect(page.locator(".check", has_text="simulated").first).to_be_visible(timeout=120_000)
        end = page.get_by_role("button", name="End them", exact=True)
        expect(end).to_be_enabled(timeout=120_000)
        end.click()
        page.get_by_role("button", name="Keep them").click()
        assert left.poll() is None
        end.click()
        page.get_by_role("button", name="End them now").click()
        expect(page.get_by_text("Nothing that crashed studies")).to_be_visible(timeout=120_000)
        left.wait(20)
    finally:
        left.kill()
        left.wait()


def test_the_load_generator_is_tested(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/system")
    page.get_by_role("button", name="Test the load generator").click()
    found = page.locator(".check", has=page.get_by_text("harness at 1", exact=True))
    expect(found).to_contain_text("TTFT", timeout=120_000)
