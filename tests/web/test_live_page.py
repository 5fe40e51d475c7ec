"""What stays in view while a study goes on: the end of a log, and what a filter asks for."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from servelab.spec.trial import Timings, Trial
from tests.web.finished import HELD, create
from tests.web.served import Served

SOON = 60_000  # milliseconds
AT_END = "log => log.scrollTop > 0 && log.scrollTop + log.clientHeight >= log.scrollHeight - 2"


def running(served: Served, trials: int) -> str:
    """A study whose first trial a worker has claimed."""
    study = create(served, HELD, start=False)
    served.store.add_trials(study, [Trial(number=number, parameters={}) for number in range(trials)])
    assert served.store.claim(study, "worker") is not None
    return study


def say(served: Served, study: str, *words: str) -> None:
    """What an engine does with its log: many lines of each word."""
    directory = served.home / "studies" / study / "trial-0000"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "engine-1.log").open("a") as log:
        log.writelines(f"{word} {line}\n" for word in words for line in range(60))


def shows(log: Locator, word: str) -> None:
    expect(log).to_contain_text(f"{word} 59", timeout=SOON)


def test_the_end_of_a_log_stays_in_view_until_the_reader_scrolls_up(served: Served, page: Page) -> None:
    study = running(served, 1)
    say(served, study, "loading")
    page.goto(f"{served.url}/studies/{study}")
    log = page.get_by_label("End of the engine log")
    for word in ("ready", "serving"):
        say(served, study, word)
        shows(log, word)
        page.wait_for_function(f"() => ({AT_END})(document.querySelector('pre.log'))", timeout=SOON)
    log.evaluate("log => { log.scrollTop = 40; }")
    say(served, study, "meanwhile")
    shows(log, "meanwhile")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert log.evaluate("log => log.scrollTop") == 40
    log.evaluate("log => { log.scrollTop = log.scrollHeight; }")
    say(served, study, "again")
    shows(log, "again")
    page.wait_for_function(f"() => ({AT_END})(document.querySelector('pre.log'))", timeout=SOON)
    page.goto(f"{served.url}/studies/{study}/trials/0")
    shows(log, "again")
    page.wait_for_function(f"() => ({AT_END})(document.querySelector('[data-tail]'))", timeout=SOON)


def test_a_filtered_table_follows_what_happens(served: Served, page: Page) -> None:
    study, store = running(served, 3), served.store
    page.goto(f"{served.url}/studies/{study}")
    shown = page.locator(".trials .ag-pinned-left-cols-container .ag-row a")
    expect(shown).to_have_count(3, timeout=SOON)
    page.get_by_label("State of trials").click()
    page.get_by_role("option", name="running").click()
    expect(shown).to_have_text(["0"], timeout=SOON)
    assert store.claim(study, "other") is not None
    expect(shown).to_have_text(["0", "1"], timeout=SOON)
    store.finish_trial(study, 0, "worker", state="complete", timings=Timings(), outcome={})
    expect(shown).to_have_text(["1"], timeout=SOON)
    store.finish_trial(study, 1, "other", state="complete", timings=Timings(), outcome={})
    expect(shown).to_have_count(0, timeout=SOON)
