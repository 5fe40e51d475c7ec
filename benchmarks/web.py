"""The page server with 10,000 trials in a study: ``python -m benchmarks.web --out docs/benchmarks/web.md``.

And with 200 studies in its list. A real server over a real store, a real Chromium, and real clients of its events. The
trials are made up, of the size that real ones have: each with a report of 57 metrics, five latency distributions and
intervals.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import aiohttp
import psutil
from playwright.async_api import Browser, Page, async_playwright

from benchmarks.made_up import STUDY, add_running, fill, finish
from servelab.catalog.study import load_study
from servelab.store.store import Store

TRIALS = 10_000
OPENED = 5  # times the page is opened
WATCHED = 40.0  # seconds of one trial a second
CLIENTS = 50  # of the events
PAGES = 3  # real browser pages beside them
NEWS = 20  # trials that end while all of them wait
LISTED = 200  # studies in a list
LISTS = (0, 1, 4)  # pages with it that are open
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
READY = """() => {
  const row = document.querySelector('.trials .ag-center-cols-container .ag-row[row-index="0"]');
  const canvases = [...document.querySelectorAll('.chart canvas')].filter((one) => one.width > 0);
  if (!row || !row.textContent.includes('complete') || canvases.length < CHARTS) return false;
  return performance.now();
}"""
LAST = """(index) => {
  const row = document.querySelector(`.trials .ag-center-cols-container .ag-row[row-index="${index}"]`);
  return row && /complete|failed|stopped/.test(row.textContent) ? performance.now() : false;
}"""
BOTTOM = """() => {
  const box = document.querySelector('.trials .ag-body-viewport');
  box.scrollTop = box.scrollHeight;
  return performance.now();
}"""
NOTE = """() => {
  window.seen = {};
  const look = () => {
    const found = document.querySelector('.progress')?.textContent.match(/^([\\d,]+) of/);
    if (found) window.seen[found[1].replaceAll(',', '')] ??= Date.now() / 1000;
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""

NOTE_LIST = """() => {
  window.seen = {};
  const look = () => {
    const found = document.querySelector('.q-table').textContent.match(/change (\\d+)/);
    if (found) window.seen[found[1]] ??= Date.now() / 1000;
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


@dataclass
class Server:
    """A page server in a process of its own."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def seconds(self) -> float:
        """Processor seconds it has used."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def served(home: Path) -> Iterator[Server]:
    """Run a server until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "servelab", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "SERVELAB_HOME": str(home)}, stdout=subprocess.DEVNULL)
    found = Server(home, port, process)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{found.url}/healthz", timeout=2).close()
                break
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Delays:
    """Seconds from the commit of what happened until somebody knew."""

    values: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        """A row of the table."""
        ordered = sorted(self.values)
        p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
        shown = " | ".join(f"{1000 * value:.0f}" for value in (median(ordered), p99, ordered[-1]))
        return f"| {name} | {len(ordered):,} | {shown} |"


async def opened(browser: Browser, url: str, trials: int) -> tuple[list[float], list[float]]:
    """Seconds until the page is usable, the first time with an empty cache; and to its last row."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    usable, scrolled = [], []
    for _ in range(OPENED + 1):
        page = await context.new_page()
        await page.goto(url, wait_until="commit")
        found = await page.wait_for_function(READY.replace("CHARTS", "4"), polling="raf", timeout=60_000)
        usable.append(float(await found.json_value()) / 1000)
        began = float(await page.evaluate(BOTTOM))
        last = await page.wait_for_function(LAST, arg=trials - 1, polling="raf", timeout=60_000)
        scrolled.append((float(await last.json_value()) - began) / 1000)
        await page.close()
    await context.close()
    return usable, scrolled


async def compared(browser: Browser, url: str) -> list[float]:
    """Seconds until the list of studies is there: what any page takes in this browser, on this machine."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    found = []
    for _ in range(OPENED + 1):
        page = await context.new_page()
        await page.goto(url, wait_until="commit")
        there = "() => document.querySelector('.q-table td a') ? performance.now() : false"
        ready = await page.wait_for_function(there, polling="raf", timeout=60_000)
        found.append(float(await ready.json_value()) / 1000)
        await page.close()
    await context.close()
    return found


async def share(server: Server, happen: Callable[[], object], seconds: float) -> float:
    """The share of one core that the server uses while something happens each second."""
    before, began = server.seconds, time.monotonic()
    for _ in range(int(seconds)):
        due = time.monotonic() + 1.0
        await asyncio.to_thread(happen)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    return (server.seconds - before) / (time.monotonic() - began)


def one_more(store: Store, study: str) -> tuple[int, float]:
    """Run a trial to its end; returns its number and when that was committed."""
    number = add_running(store, study)
    finish(store, study, number)
    return number, time.time()


async def told(server: Server, browser: Browser, store: Store, study: str) -> tuple[Delays, Delays]:
    """How long it takes until clients of the events, and pages, know that a trial has ended."""
    arrived: list[dict[int, float]] = [{} for _ in range(CLIENTS)]
    listening = [asyncio.Event() for _ in range(CLIENTS)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [
            asyncio.ensure_future(_listen(session, server.url, study, seen, ready))
            for seen, ready in zip(arrived, listening, strict=True)
        ]
        pages = await _pages(browser, f"{server.url}/studies/{study}")
        await asyncio.gather(*(ready.wait() for ready in listening))
        ended: dict[int, float] = {}
        for _ in range(NEWS):
            number, at = await asyncio.to_thread(one_more, store, study)
            ended[number] = at
            await asyncio.sleep(1.5)
        await asyncio.sleep(3)
        seen_on_pages = [await page.evaluate("() => window.seen") for page in pages]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    clients = Delays([seen[number] - at for seen in arrived for number, at in ended.items()])
    # The page says how many have ended: one more than the number of the last.
    browsers = Delays([float(seen[str(number + 1)]) - at for seen in seen_on_pages for number, at in ended.items()])
    return clients, browsers


async def _listen(
    session: aiohttp.ClientSession, url: str, study: str, seen: dict[int, float], ready: asyncio.Event
) -> None:
    timeout = aiohttp.ClientTimeout(total=None)
    async with session.get(f"{url}/api/v1/events", params={"study": study}, timeout=timeout) as answer:
        ready.set()
        kind = ""
        async for line in answer.content:
            if line.startswith(b"event:"):
                kind = line[6:].strip().decode()
            elif line.startswith(b"data:") and kind == "finished":
                number = int(line.split(b'"trial":')[1].split(b",")[0])
                seen[number] = time.time()


async def _pages(browser: Browser, url: str) -> list[Page]:
    found = []
    for _ in range(PAGES):
        page = await (await browser.new_context()).new_page()
        await page.goto(url, wait_until="commit")
        await page.wait_for_function(READY.replace("CHARTS", "4"), polling="raf", timeout=60_000)
        await page.evaluate(NOTE)
        found.append(page)
    return found


async def measure(home: Path) -> list[str]:
    """All numbers, as lines of the page."""
    store = Store(str(home / "servelab.db"))
    if not store.list_studies():
        study = store.create_study(load_study(STUDY)).id
        began = time.perf_counter()
        fill(store, study, TRIALS)
        print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)
        store.set_study_state(study, "running", "")
    study = store.find_study().id
    async with async_playwright() as playwright:
        path = shutil.which("chromium")
        assert path is not None, "chromium is missing: run scripts/browser"
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        with served(home) as server:
            lines = await _lines(server, browser, store, study)
        lines += await _listed(browser, home / "listed")
        await browser.close()
        return lines


async def _lines(server: Server, browser: Browser, store: Store, study: str) -> list[str]:
    address = f"{server.url}/studies/{study}"
    plain = await compared(browser, server.url)
    usable, scrolled = await opened(browser, address, sum(store.summary(study).counts.values()))
    lines = [
        *("| what | first time | then, median | then, most |", "|---|---:|---:|---:|"),
        f"| navigation until rows and charts are there, s | {_three(usable)} |",
        f"| for comparison: the list of studies, with one in it, s | {_three(plain)} |",
        f"| a jump to the last row of the table, s | {_three(scrolled)} |",
    ]
    print("\n".join(lines), flush=True)
    happen = partial(one_more, store, study)
    alone = await share(server, happen, WATCHED / 2)
    page = await (await browser.new_context()).new_page()
    await page.goto(address)
    await page.wait_for_function(READY.replace("CHARTS", "4"), polling="raf", timeout=60_000)
    await asyncio.sleep(3)
    watched = await share(server, happen, WATCHED)
    await page.close()
    shares = [
        *("", "A trial ends each second:", "", "| pages open | processor, share of one core |", "|---|---:|"),
        f"| none | {alone:.1%} |",
        f"| one | {watched:.1%} |",
    ]
    print("\n".join(shares), flush=True)
    clients, browsers = await told(server, browser, store, study)
    delays = [
        *("", f"From the commit of a trial's end, with {CLIENTS} clients of the events and {PAGES} pages at once:", ""),
        *("| who | arrivals | p50, ms | p99, ms | most, ms |", "|---|---:|---:|---:|---:|"),
        clients.row(f"{CLIENTS} clients of the events, until it is read"),
        browsers.row(f"{PAGES} pages in Chromium, until it is drawn"),
    ]
    print("\n".join(delays), flush=True)
    return [*lines, *shares, *delays]


async def _listed(browser: Browser, home: Path) -> list[str]:
    """What it costs to keep lists of studies up to date, and how soon they are."""
    home.mkdir(exist_ok=True)
    store = Store(str(home / "servelab.db"))
    for _ in range(LISTED - len(store.list_studies())):
        store.create_study(load_study(STUDY))
    newest = store.find_study().id
    changed: list[float] = []

    def happen() -> None:
        store.set_study_state(newest, "paused", f"change {len(changed)}")
        changed.append(time.time())

    lines = ["", f"Something happens to one of {LISTED} studies each second:", ""]
    lines += ["| lists open | processor, share of one core |", "|---|---:|"]
    pages: list[Page] = []
    with served(home) as server:
        for count in LISTS:
            while len(pages) < count:
                pages.append(await _list_page(browser, server.url))
            await asyncio.sleep(3)
            changed.clear()
            for page in pages:
                await page.evaluate("() => { window.seen = {}; }")
            lines.append(f"| {count or 'none'} | {await share(server, happen, WATCHED / 2):.1%} |")
            print(lines[-1], flush=True)
        await asyncio.sleep(3)
        seen = [await page.evaluate("() => window.seen") for page in pages]
    # Two that come close together are drawn at once, as the later of them.
    drawn = [{int(number): float(at) for number, at in one.items()} for one in seen]
    known = [min(at for later, at in one.items() if later >= number) for one in drawn for number in range(len(changed))]
    delays = Delays([at - happened for at, happened in zip(known, changed * len(pages), strict=True)])
    lines += ["", "From the commit of a change:", "", "| who | arrivals | p50, ms | p99, ms | most, ms |"]
    lines += ["|---|---:|---:|---:|---:|", delays.row(f"{len(pages)} lists in Chromium, until it is drawn")]
    print("\n".join(lines), flush=True)
    return lines


async def _list_page(browser: Browser, url: str) -> Page:
    page = await (await browser.new_context()).new_page()
    await page.goto(url, wait_until="commit")
    await page.wait_for_function("() => document.querySelector('.q-table td a')", timeout=60_000)
    await asyncio.sleep(3)
    await page.evaluate(NOTE_LIST)
    return page


def _three(values: Sequence[float]) -> str:
    first, *others = values
    return f"{first:.2f} | {median(others):.2f} | {max(others):.2f}"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--home", type=Path, help="keep the store here, and use it again")
    given = parser.parse_args()
    busy = os.getloadavg()[0]
    random.seed(9)
    with tempfile.TemporaryDirectory() as temporary:
        home = given.home or Path(temporary)
        os.environ["SERVELAB_HOME"] = str(home)
        lines = asyncio.run(measure(home))
    text = [
        "# The page",
        "",
        f"`servelab serve` over a store with a study of {TRIALS:,} trials, each with its report, that still runs, and",
        f"over one of {LISTED} studies.",
        f"Server, store, browser (Chromium, 1280 by 900) and clients share one machine of {os.cpu_count()} cores.",
        "Usable means: the table shows its rows and all four charts are drawn. Written by",
        f"`make bench-web`; the machine's noise is in it: its load average was {busy:.1f} when it began.",
        "",
        *lines,
    ]
    if given.out is not None:
        given.out.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
