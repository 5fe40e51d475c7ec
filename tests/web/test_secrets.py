"""No secret, and nothing that acts, reaches a page, an answer, a file or a process's arguments."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.postgres import postgresql
from tests.web.finished import create, finish
from tests.web.served import Served
from tests.web.test_faults import RUNS

SECRETS = {"HF_TOKEN": "hf_zzSECRETzz1", "MY_API_KEY": "zzSECRETzz2", "PGPASSWORD": "zzSECRETzz3"}
PASSWORD = "zzSECRETzz4"  # in the store's URL
FOUND = re.compile(rb"zzSECRETzz\d")
DOCUMENT = RUNS.replace("  profile:", "  environment_from: [HF_TOKEN, MY_API_KEY]\n  profile:")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str, list[str]]]:
    """A server on PostgreSQL with secrets around it, a study that has run, and all arguments of processes meanwhile."""
    with postgresql() as url:
        around = {**SECRETS, "SERVELAB_STORE": url.replace("lab@", f"lab:{PASSWORD}@")}
        served = Served(tmp_path_factory.mktemp("told"), environment=around).start()
        study = create(served, DOCUMENT)
        seen: list[str] = []
        while served.ask(f"/api/v1/studies/{study}").data["state"] not in ("complete", "failed"):
            for process in psutil.process_iter(["cmdline"]):
                seen += process.info["cmdline"] or []
            time.sleep(0.05)
        assert finish(served, study)[study]["state"] == "complete"
        yield served, study, seen
        served.stop()


def test_no_secret_is_among_arguments(told: tuple[Served, str, list[str]]) -> None:
    _, study, seen = told
    assert study in seen
    assert "servelab.engines.simulated" in seen
    assert not FOUND.search(" ".join(seen).encode())


def test_no_secret_is_in_an_answer(told: tuple[Served, str, list[str]]) -> None:
    served, study, _ = told
    paths = [
        path.format(study_id=study, number=1, name="vllm")
        for path, methods in served.ask("/api/v1/openapi.json").data["paths"].items()
        if "get" in methods and path != "/api/v1/events"
    ]
    pages = ["", "new", "compare", "predict", "convert", "system", f"studies/{study}", f"studies/{study}/trials/1"]
    full = 0
    for path in [*paths, *(f"/{page}" for page in pages), f"/studies/{study}/recommendation", "/metrics", "/readyz"]:
        answer = served.ask(path)
        body = answer.body
        if path.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(body)) as files:
                body = b"".join(files.read(name) for name in files.namelist())
        assert not FOUND.search(body), path
        full += answer.status == 200
    assert full > 15


def test_no_secret_is_in_a_message(told: tuple[Served, str, list[str]]) -> None:
    served, study, _ = told
    for path, body in (
        ("/api/v1/studies", {"document": RUNS.replace("profile:", "environment: {A_TOKEN: zzSECRETzz5}\n  profile:")}),
        (f"/api/v1/studies/{study}/resume", {}),
    ):
        answer = served.ask(path, body)
        assert answer.status in (409, 422)
        assert not FOUND.search(answer.body), answer.body


def test_no_secret_is_in_a_file(told: tuple[Served, str, list[str]]) -> None:
    served, study, _ = told
    files = [path for path in served.home.rglob("*") if path.is_file()]
    assert any(path.name.startswith("engine-") for path in files)
    assert (served.home / "studies" / study).is_dir()
    assert [str(path) for path in files if FOUND.search(path.read_bytes())] == []


def test_what_looks_like_a_page_in_data_is_text(served: Served, page: Page) -> None:
    trick = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>{{ constructor }}"
    answer = served.ask("/api/v1/studies", {"document": f'{RUNS}\ndescription: "{trick}"\n', "start": False})
    assert answer.status == 201, answer.body
    study = answer.data["id"]
    served.store.set_study_state(study, "paused", f"failed with {trick}")
    for path in ("/", f"/studies/{study}", f"/new?from={study}", f"/studies/{study}/recommendation"):
        page.goto(served.url + path)
        expect(page.locator("h1").first).to_be_visible(timeout=120_000)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("() => window.hacked") is None, path
    page.goto(served.url)
    expect(page.get_by_text("failed with <img src=x")).to_be_visible(timeout=120_000)
