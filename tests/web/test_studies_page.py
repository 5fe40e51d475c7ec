"""The list of studies: live, searchable, and everything that can be done with one."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from servelab.spec.trial import Timings, Trial
from tests.web.served import Served

STUDY = (Path(__file__).parent.parent.parent / "examples" / "simulated.yaml").read_text()


def create(served: Served, start: bool = False) -> str:
    answer = served.ask("/api/v1/studies", {"document": STUDY, "start": start})
    assert answer.status == 201, answer.body
    return str(answer.data["id"])


def test_an_empty_store_teaches(served: Served, page: Page) -> None:
    page.goto(served.url)
    expect(page.get_by_role("heading", name="No studies yet")).to_be_visible()
    expect(page.get_by_role("link", name="Write the first one")).to_have_attribute("href", "/new")


def test_studies_come_and_go_without_reloading(served: Served, page: Page) -> None:
    page.goto(served.url)
    first, second = create(served), create(served)
    for study in (first, second):
        expect(page.get_by_role("link", name=study)).to_be_visible()
    page.get_by_label("Search studies").fill(first)
    expect(page.get_by_role("link", name=second)).to_have_count(0)
    page.get_by_label("Search studies").fill("")
    page.get_by_role("button", name=f"Delete {second}").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("link", name=second)).to_be_visible()
    page.get_by_role("button", name=f"Delete {second}").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("link", name=second)).to_have_count(0)
    assert served.ask(f"/api/v1/studies/{second}").status == 404
    page.get_by_role("button", name=f"Cancel {first}").click()
    page.get_by_role("button", name="Cancel it").click()
    expect(page.locator("tr", has_text=first).locator(".state")).to_have_text("cancelled")


def test_a_verification_counts_when_it_has_ended(served: Served, page: Page) -> None:
    study = create(served)
    default = Trial(number=0, parameters={}, kind="baseline")
    again = [Trial(number=n, parameters={}, kind="verification", verifies=0, round=n - 1) for n in range(1, 5)]
    served.store.add_trials(study, [default, *again])
    for _ in range(2):  # the default and its first re-test end
        trial = served.store.claim(study, "test")
        assert trial is not None
        served.store.finish_trial(study, trial.number, "test", state="complete", timings=Timings(), outcome={})
    page.goto(served.url)
    expect(page.locator("tr", has_text=study)).to_contain_text("1 of 1, 1 of 4 measured again")
    expect(page.get_by_role("progressbar", name=study)).to_have_attribute("aria-valuenow", "40")
    page.goto(f"{served.url}/studies/{study}")
    expect(page.get_by_text("1 of 1 trials have ended, 1 of 4 for verification")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("progressbar", name=study)).to_have_attribute("aria-valuenow", "40")
    assert served.ask(f"/api/v1/studies/{study}", method="DELETE").status == 204


def test_on_a_phone_a_study_is_a_card(served: Served, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    study = create(served)
    page.goto(served.url)
    card = page.locator(".study-card", has_text=study)
    expect(card.get_by_role("link", name=study)).to_have_attribute("href", f"/studies/{study}")
    card.get_by_role("button", name=f"Delete {study}").click()
    page.get_by_role("button", name="Delete it").click()
    expect(card).to_have_count(0)


@pytest.mark.parametrize("path", ["/nowhere", "/studies/x/trials/abc", f"/new?from={'x' * 65}"])
def test_an_address_that_no_page_has_is_answered_with_a_page(served: Served, page: Page, path: str) -> None:
    answer = page.goto(f"{served.url}{path}")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="New study")).to_be_visible()
