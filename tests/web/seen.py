"""What a page shows for a moment only: the page itself notes that it did, so that nobody can look too late."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

_NOTE = """([selector, wanted]) => {
  window.seen = false;
  const look = () => {
    if ([...document.querySelectorAll(selector)].some((one) => one.textContent.includes(wanted))) window.seen = true;
  };
  look();
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
_RESIZED = (
    """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 200))))"""
)
_STILL = "*, ::before, ::after { transition: none !important; animation: none !important }"
PATIENCE = 300_000  # ms


def note(page: Page, selector: str, wanted: str) -> None:
    """Begin to look for an element with such a text."""
    page.evaluate(_NOTE, [selector, wanted])


def noted(page: Page) -> None:
    """Wait until there was one."""
    page.wait_for_function("() => window.seen", timeout=PATIENCE)


def copied(page: Page, button: Locator) -> None:
    """Press a button that copies; it says so for two seconds."""
    name = button.get_attribute("aria-label")
    note(page, f'[aria-label="{name}"]', "Copied")
    button.click()
    noted(page)


def resize(page: Page, width: int, height: int) -> None:
    """Another size, and what the page does in two pictures and a moment after it was told."""
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(_RESIZED)


def still(page: Page) -> None:
    """Let nothing be on its way from one look to another."""
    page.add_style_tag(content=_STILL)
