"""Trials side by side in a browser: chosen with the mouse, kept in the address, differences told."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from servelab.web.pages.compared import WORDS
from tests.web.finished import COLLECTED, TOO_LARGE, TUNED, create, finish
from tests.web.served import Served

PATIENCE = 120_000


@pytest.fixture(scope="module")
def studies(served: Served) -> dict[str, str]:
    names = {"tuned": TUNED, "collected": COLLECTED, "too-large": TOO_LARGE}
    ids = {name: create(served, document) for name, document in names.items()}
    finish(served, *ids.values())
    return ids


def test_trials_of_two_studies_are_chosen_and_kept_in_the_address(
    served: Served, page: Page, studies: dict[str, str]
) -> None:
    page.goto(f"{served.url}/compare")
    expect(page.get_by_role("heading", name="Nothing to compare yet")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Study", exact=True).click()
    page.get_by_role("option", name=studies["tuned"]).click()
    expect(page.get_by_text("trial 0 default")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Add trial 0", exact=True).click()
    expect(page.get_by_role("heading", name="One more")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Search its trials").fill("max_num_seqs=2")
    expect(page.locator(".offered").filter(has_not_text="max_num_seqs=2")).to_have_count(0, timeout=PATIENCE)
    page.locator(".offered").first.get_by_role("button").click()
    expect(page.get_by_role("region", name="Parameters of the trials")).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Study", exact=True).click()
    page.get_by_role("option", name=studies["collected"]).click()
    page.get_by_label("Search its trials").fill("")
    expect(page.locator(".offered").filter(has_text="max_num_seqs=32")).to_have_count(1, timeout=PATIENCE)
    expect(page.locator(".offered")).to_have_count(2, timeout=PATIENCE)
    page.get_by_role("button", name="Add trial 1", exact=True).click()
    expect(page.locator(".chosen")).to_have_count(3, timeout=PATIENCE)
    expect(page.get_by_text("Simulated engine").first).to_be_visible()
    page.wait_for_url(lambda url: url.count(":") == 2 + 3, timeout=PATIENCE)  # scheme, port, and three trials
    page.reload()
    expect(page.locator(".chosen")).to_have_count(3, timeout=PATIENCE)
    first = page.locator(".chosen").first
    expect(first).to_contain_text(f"trial 0 of {studies['tuned']}")
    page.get_by_role("button", name=f"Make trial 1 of {studies['collected']} the reference").click()
    expect(first).to_contain_text(f"trial 1 of {studies['collected']}", timeout=PATIENCE)
    page.get_by_role("button", name=f"Remove trial 1 of {studies['collected']}").click()
    expect(page.locator(".chosen")).to_have_count(2, timeout=PATIENCE)


def test_differences_are_marked_and_told_from_noise(served: Served, page: Page, studies: dict[str, str]) -> None:
    numbers = (0, next(t.number for t in served.store.trials(studies["tuned"]) if t.parameters == {"max_num_seqs": 2}))
    page.goto(f"{served.url}/compare?trials=" + ",".join(f"{studies['tuned']}:{number}" for number in numbers))
    marked = page.get_by_role("row", name="max_num_seqs").locator(".differs")
    expect(marked).to_have_text(["-", "2"], timeout=PATIENCE)
    waiting = page.get_by_role("row").filter(has=page.get_by_role("cell", name="ttft_p50", exact=True))
    # Two at a time, with 32 who ask, is worse, if the machine stood still for none of the repeats.
    expect(waiting.first).to_contain_text(_certainty(served, studies["tuned"], numbers, "ttft_p50", "concurrency 32"))
    for name in ("Time to first token", "Inter-token latency", "End-to-end latency"):
        expect(page.get_by_role("img", name=f"{name} at concurrency 32")).to_be_visible()
    page.get_by_role("tab", name="concurrency 8").click()
    expect(page.get_by_role("region", name="Metrics at concurrency 8", exact=True)).to_be_visible()
    page.get_by_text("All 2").last.click()
    expect(page.get_by_role("cell", name="e2e_sent_p95").last).to_be_visible()


def _certainty(served: Served, study: str, numbers: tuple[int, int], metric: str, load: str) -> str:
    """What the measurements say of the second trial against the first."""
    found = served.ask("/api/v1/compare?" + "&".join(f"trials={study}:{number}" for number in numbers)).data
    (row,) = [row for row in found["rows"] if (row["metric"], row["load"]) == (metric, load)]
    certainty = row["values"][1]["certainty"]
    assert certainty in ("better", "worse", "within noise")
    return WORDS.get(certainty, certainty)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("trials=<script>alert(1)</script>", "names no trial"),
        ("trials=" + ",".join(f"study:{number}" for number in range(9)), "too many"),
        ("trials=nowhere:0,nowhere:1", "There is no study"),
    ],
)
def test_an_address_that_names_nothing_is_told(served: Served, page: Page, query: str, said: str) -> None:
    page.goto(f"{served.url}/compare?{query}")
    expect(page.locator(".notice", has_text=said).first).to_be_visible(timeout=PATIENCE)


def test_a_trial_that_failed_is_told_and_the_others_compared(
    served: Served, page: Page, studies: dict[str, str]
) -> None:
    query = f"trials={studies['too-large']}:0,{studies['tuned']}:0,{studies['tuned']}:1"
    page.goto(f"{served.url}/compare?{query}")
    expect(page.get_by_text(f"Trial 0 of {studies['too-large']} has no measurement")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("region", name="Metrics at concurrency 32", exact=True)).to_be_visible()
