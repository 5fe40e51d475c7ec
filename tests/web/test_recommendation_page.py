"""What to run, in a browser: the verdict, every form to copy and to keep, the cost, and what to do without a winner."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.finished import COLLECTED, HELD, TOO_LARGE, TOO_STRICT, TUNED, create, finish
from tests.web.seen import copied
from tests.web.served import Served

PATIENCE = 120_000


@pytest.fixture(scope="module")
def studies(served: Served) -> dict[str, str]:
    names = {"tuned": TUNED, "collected": COLLECTED, "too-large": TOO_LARGE, "too-strict": TOO_STRICT}
    ids = {name: create(served, document) for name, document in names.items()}
    finish(served, *ids.values())
    return ids | {"held": create(served, HELD, start=False)}


def test_the_answer_is_the_command_lines(served: Served, page: Page, studies: dict[str, str]) -> None:
    verdict = served.ask(f"/api/v1/studies/{studies['tuned']}/report").data["verdict"]
    page.goto(f"{served.url}/studies/{studies['tuned']}/recommendation")
    expect(page.get_by_text(verdict["sentence"])).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("simulated engine: no real measurement")).to_be_visible()
    expect(page.get_by_text("What the measurements say nothing of")).to_be_visible()
    checks = page.get_by_role("region", name="Every SLO in every round")
    every = page.get_by_role("link", name="All metrics, with their distributions")
    if verdict["standings"] and verdict["trial"] != verdict["default"]:
        address = every.get_attribute("href") or ""
        numbers = [int(name.rpartition(":")[2]) for name in address.partition("=")[2].split(",")]
        verified = [served.store.trial(studies["tuned"], number).verifies for number in numbers]
        assert sorted(set(verified)) == sorted({verdict["default"], verdict["trial"]})
    # On a machine that is too busy to tell, nothing is measured again, and there are no rounds.
    rounds = max((len(standing["rounds"]) for standing in verdict["standings"]), default=0)
    names = [*(f"Round {number + 1}" for number in range(rounds)), *(["All rounds"] if verdict["standings"] else [])]
    expect(checks.get_by_role("columnheader").filter(has_text="Round")).to_have_text(names)


def test_every_form_is_copied_and_downloaded(served: Served, page: Page, studies: dict[str, str]) -> None:
    study = studies["tuned"]
    forms = {one["form"]: one for one in served.ask(f"/api/v1/studies/{study}/recommendation").data["forms"]}
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.url)
    page.goto(f"{served.url}/studies/{study}/recommendation")
    page.get_by_role("tab", name="Environment").click()
    panel = page.locator(".q-tab-panel")
    copied(page, panel.get_by_role("button", name="Copy Environment file"))
    assert page.evaluate("navigator.clipboard.readText()") == forms["env"]["text"]
    with page.expect_download() as started:
        panel.get_by_role("link", name="Download serve.env").click()
    assert started.value.suggested_filename == "serve.env"
    assert Path(started.value.path()).read_text() == forms["env"]["text"]
    page.get_by_role("tab", name="Kubernetes").click()
    expect(page.locator(".q-tab-panel")).to_contain_text("the engine is simulated")


def test_the_cost_follows_the_price(served: Served, page: Page, studies: dict[str, str]) -> None:
    page.goto(f"{served.url}/studies/{studies['tuned']}/recommendation")
    page.get_by_label("Price of one accelerator for an hour").fill("7.2")
    costs = page.get_by_role("region", name="What it costs")
    expect(costs).to_be_visible(timeout=PATIENCE)
    expect(costs.get_by_role("cell", name="7.20").first).to_be_visible()
    path = f"/api/v1/studies/{studies['tuned']}/recommendation?accelerator_hour_cost=7.2"
    level = served.ask(path).data["costs"][0]["loads"][0]
    expect(costs).to_contain_text(f"{level['per_million_output']:.3g}")


@pytest.mark.parametrize(
    ("name", "headline", "step"),
    [
        ("collected", "Measurements, no verdict", "Add an objective"),
        ("too-large", "Nothing could be measured", "gpu_memory_utilization"),
        ("too-strict", "No configuration keeps the SLO", "Relax ttft_p50 <= 1 ms"),
        ("held", "Nothing could be measured", "Wait for the first"),
    ],
)
def test_without_a_winner_there_is_a_next_step(
    served: Served, page: Page, studies: dict[str, str], name: str, headline: str, step: str
) -> None:
    page.goto(f"{served.url}/studies/{studies[name]}/recommendation")
    expect(page.get_by_role("heading", name=headline)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("listitem").filter(has_text=step).first).to_be_visible()


def test_it_follows_a_study_that_runs(served: Served, page: Page) -> None:
    study = create(served, TUNED.replace("name: tuned", "name: followed"), start=False)
    page.goto(f"{served.url}/studies/{study}/recommendation")
    expect(page.get_by_role("heading", name="Nothing could be measured")).to_be_visible(timeout=PATIENCE)
    assert served.ask(f"/api/v1/studies/{study}/resume", {}).status == 200
    expect(page.locator(".head .state").first).to_have_text("complete", timeout=400_000)
    verdict = served.ask(f"/api/v1/studies/{study}/report").data["verdict"]
    expect(page.get_by_text(verdict["sentence"])).to_be_visible(timeout=PATIENCE)


def test_no_such_study(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/studies/nowhere/recommendation")
    expect(page.get_by_role("heading", name="There is no study nowhere")).to_be_visible(timeout=PATIENCE)


def test_a_study_that_is_removed_is_said_to_be(served: Served, page: Page) -> None:
    study = create(served, HELD, start=False)
    page.goto(f"{served.url}/studies/{study}/recommendation")
    expect(page.get_by_text("This study has been removed.")).to_be_hidden()
    expect(page.get_by_role("heading", name="Nothing could be measured")).to_be_visible(timeout=PATIENCE)
    assert served.ask(f"/api/v1/studies/{study}", method="DELETE").status == 204
    expect(page.get_by_text("This study has been removed.")).to_be_visible(timeout=PATIENCE)
    assert "NotFoundError" not in served.log
