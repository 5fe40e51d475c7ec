"""What happens while a page loads is on it; and what is removed while it is looked at is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from servelab.spec.trial import Trial
from tests.web.finished import HELD, create
from tests.web.held import held, hold
from tests.web.served import Served

SOON = 30_000  # milliseconds
PASSED = 1.0  # seconds in which the server has heard of what happened


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("served"), module="tests.web.held").start()
    yield found
    found.stop()


def open_while(served: Served, page: Page, path: str, read: str, change: Callable[[], object]) -> None:
    """Open a page; after it has read this from the store, and before it goes on, something changes."""

    def happen() -> None:
        end = time.monotonic() + SOON / 1000
        while not held(served.home).exists() and time.monotonic() < end:
            time.sleep(0.02)
        try:
            change()
            time.sleep(PASSED)
        finally:
            hold(served.home).unlink()

    held(served.home).unlink(missing_ok=True)
    new = Path(f"{hold(served.home)}.new")
    new.write_text(read)
    new.rename(hold(served.home))
    with ThreadPoolExecutor(1) as thread:
        happening = thread.submit(happen)
        page.goto(served.url + path)
        happening.result()
    assert held(served.home).exists(), "the page did not read it"


def test_what_happens_while_a_page_loads_is_not_missed(served: Served, page: Page) -> None:
    store = served.store
    watched, listed = create(served, HELD, start=False), create(served, HELD, start=False)  # the newest is read first
    open_while(served, page, "/", "summary", lambda: store.set_study_state(listed, "cancelled", ""))
    expect(page.locator("tr", has_text=listed).locator(".state")).to_have_text("cancelled", timeout=SOON)
    store.add_trials(watched, [Trial(number=0, parameters={})])
    open_while(served, page, f"/studies/{watched}/trials/0", "trial", lambda: store.claim(watched, "worker"))
    expect(page.locator(".head .state").first).to_have_text("running", timeout=SOON)
    address = f"/studies/{watched}"
    open_while(served, page, address, "get_study", lambda: store.set_study_state(watched, "cancelled", ""))
    expect(page.locator(".head .state").first).to_have_text("cancelled", timeout=SOON)


def test_a_trial_s_page_says_that_its_study_was_removed(served: Served, page: Page) -> None:
    study = create(served, HELD, start=False)
    served.store.add_trials(study, [Trial(number=0, parameters={})])
    page.goto(f"{served.url}/studies/{study}/trials/0")
    expect(page.locator(".head .state").first).to_have_text("waiting", timeout=SOON)
    assert served.ask(f"/api/v1/studies/{study}", method="DELETE").status in (200, 204)
    expect(page.get_by_text("This study has been removed.")).to_be_visible(timeout=SOON)
    assert "Traceback" not in served.log
