"""Every page in both themes, on a desktop and on a phone: axe-core finds nothing serious, and nothing runs over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, TimeoutError

from tests.web.finished import TUNED, create, finish
from tests.web.seen import resize, still
from tests.web.served import Served

PATIENCE = 120_000
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAGES = {  # path -> what is there when the page is
    "/": "table, .q-table__grid-content",
    "/new": "h1",
    "/studies/{study}": "h1",
    "/studies/{study}/trials/0": "h1",
    "/studies/{study}/recommendation": ".answer",
    "/compare": ".offered",
    "/compare?trials={study}:0,{study}:1": ".distribution canvas",
    "/predict": "h1",
    "/convert": "h1",
    "/system": "h1",
    "/studies/nowhere": ".empty",
}
GRAVE = {"serious", "critical"}
AXE = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
}
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def study(served: Served) -> str:
    found = create(served, TUNED)
    finish(served, found)
    return found


@pytest.fixture(params=["light", "dark"])
def themed(served: Served, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP, color_scheme=request.param)
    context.add_cookies([{"name": "servelab-theme", "value": request.param, "url": served.url}])
    yield context.new_page()
    context.close()


def test_the_page_that_asks_for_the_token_too(browser: Browser, tmp_path: Path) -> None:
    guarded = Served(tmp_path / "guarded", ("--host", "0.0.0.0")).start()
    for scheme in ("light", "dark"):
        # That page forbids every script, and axe is one.
        context = browser.new_context(viewport=PHONE, color_scheme=scheme, bypass_csp=True)
        page = context.new_page()
        page.goto(guarded.url)
        page.get_by_label("Token").wait_for(timeout=PATIENCE)
        assert not _faults(page, scheme)
        assert page.evaluate(SIDEWAYS) <= 0
        context.close()
    guarded.stop()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_everybody(served: Served, study: str, themed: Page, path: str) -> None:
    themed.goto(served.url + path.format(study=study))
    themed.locator(PAGES[path]).first.wait_for(timeout=PATIENCE)
    themed.wait_for_load_state("networkidle", timeout=PATIENCE)
    still(themed)
    found = _faults(themed, "desktop")
    resize(themed, **PHONE)
    try:
        themed.wait_for_function(f"{SIDEWAYS} <= 0", timeout=20_000)  # charts follow when they are drawn anew
    except TimeoutError:
        found.append(f"phone: the page is {themed.evaluate(SIDEWAYS)} pixels too wide: {_widest(themed)}")
    found += _faults(themed, "phone")
    assert not found, "\n".join(found)


def _faults(page: Page, where: str) -> list[str]:
    violations = Axe().run(page, options=AXE).response["violations"]
    return [
        f"{where}: {one['impact']} {one['id']}: {one['help']}: {node['html'][:200]}"
        for one in violations
        if one["impact"] in GRAVE
        for node in one["nodes"][:3]
    ]


def _widest(page: Page) -> str:
    """What stands out to the right, for whoever has to mend it."""
    found = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1"
        " && !e.closest('.scroll, pre, .q-table__middle, .ag-root-wrapper'))"
        ".slice(0, 5).map((e) => e.outerHTML.slice(0, 120))"
    )
    return "; ".join(found)
