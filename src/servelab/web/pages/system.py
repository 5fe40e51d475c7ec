"""This machine: what is well and what is not, accelerators, workers, leftovers, versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from nicegui import background_tasks, ui

from servelab.lab.accelerators.device import FREE
from servelab.lab.cleanup import leftovers, remove_leftovers
from servelab.lab.doctor import examine, examine_harness
from servelab.lab.system import Accelerator, DataDirectory, System, Worker, accelerators, system, workers
from servelab.platforms.base import Leftover
from servelab.spec.errors import ServelabError
from servelab.spec.finding import Finding
from servelab.web.context import Context
from servelab.web.pages.frame import frame, heading, in_thread, told, watch
from servelab.web.pages.parts import Tone, element, facts, notice, table, text

TONES: dict[str, Tone] = {"ok": "good", "note": "note", "problem": "bad"}
DEVICES: list[dict[str, Any]] = [
    {"name": "device", "label": "Device", "field": "device", "align": "left"},
    {"name": "memory", "label": "Memory", "field": "memory", "align": "right"},
    {"name": "used", "label": "In use", "field": "used", "align": "right"},
    {"name": "held", "label": "Held by", "field": "held", "align": "left"},
]
WORKERS: list[dict[str, Any]] = [
    {"name": "study", "label": "Study", "field": "study", "align": "left"},
    {"name": "trial", "label": "Trial", "field": "trial", "align": "right"},
    {"name": "where", "label": "Machine", "field": "where", "align": "left"},
    {"name": "life", "label": "Last sign of life", "field": "life", "align": "left"},
]
QUIET = 5.0  # seconds between looks at accelerators and workers when nothing happens


async def page(context: Context) -> None:
    """What there is, at once; what has to be examined, as it comes."""
    begun = context.live.last
    found = await in_thread(system, context.store)
    with frame("System", "/system"):
        heading("System")
        with element("div", "side"):
            with element("div", "stack"):
                _checks("Checks", "Check again", lambda: examine(context.store.url), "checks", at_once=True)
                _load_generator()
                _places(found)
            with element("div", "stack"):
                _busy(context, found, begun)
                _leftovers(context)
                _versions(found)


def _checks(
    title: str, again: str, checks: Callable[[], Iterator[Finding]], name: str, hint: str = "", at_once: bool = False
) -> None:
    """A card that runs checks, and shows each as it comes."""
    with element("section", "card stack").props(f'aria-labelledby="{name}"'):
        with element("div", "head"):
            heading(title, "h2").props(f'id="{name}"').classes("grow")
            button = ui.button(again).props('outline no-caps padding="2px 12px"')
        if hint:
            text("p", hint, "muted")
        body = element("div", "stack").props('aria-live="polite"')

    async def run() -> None:
        button.disable()
        body.clear()
        with body, told():
            async for finding in _streamed(checks()):
                _show(finding)
        button.enable()

    button.on_click(run)
    if at_once:
        background_tasks.create(run(), context=ui.context.client)


async def _streamed(findings: Iterator[Finding]) -> AsyncIterator[Finding]:
    while (finding := await asyncio.to_thread(next, findings, None)) is not None:
        yield finding


def _show(finding: Finding) -> None:
    with element("div", "check"):
        text("span", finding.verdict, f"state {TONES[finding.verdict]}")
        text("strong", finding.check)
        with element("div"):
            text("div", finding.text)
            if finding.remedy:
                text("div", finding.remedy, "remedy")


def _load_generator() -> None:
    _checks(
        "Load generator",
        "Test the load generator",
        examine_harness,
        "generator",
        "How far off are the latencies that it reports? It is held against a server whose schedule is known, on this "
        "machine as busy as it is now; that takes about 20 seconds.",
    )


def _leftovers(context: Context) -> None:
    """What crashed studies left: listed first, ended when a person says so."""
    with element("section", "card stack").props('aria-labelledby="left"'):
        with element("div", "head"):
            heading("Leftovers", "h2").props('id="left"').classes("grow")
            again = ui.button("Look again").props('outline no-caps padding="2px 12px"')
            clean = ui.button("End them").props('unelevated no-caps color=negative padding="2px 12px"')
        clean.disable()
        body = element("div", "stack").props('aria-live="polite"')
    shown: list[Leftover] = []

    async def look() -> None:
        again.disable()
        unreachable: list[ServelabError] = []
        with told():
            shown[:] = await in_thread(leftovers, context.store, unreachable.append)
            body.clear()
            with body:
                _list(shown, unreachable)
        clean.set_enabled(bool(shown))
        again.enable()

    async def end() -> None:
        if not await _sure(shown):
            return
        unreachable: list[ServelabError] = []
        with told():
            ended = await in_thread(remove_leftovers, context.store, unreachable.append)
            ui.notify(f"ended {len(ended)}", type="positive")
        await look()

    again.on_click(look)
    clean.on_click(end)
    background_tasks.create(look(), context=ui.context.client)


def _list(found: list[Leftover], unreachable: list[ServelabError]) -> None:
    for error in unreachable:
        notice(f"Not looked for everywhere: {error.message}", "warn")
    if found:
        table(("What", "Study", "Trial"), [(one.what, one.mark.study, str(one.mark.trial)) for one in found], (2,))
    else:
        where = " where it could be looked for" if unreachable else ""
        text("p", f"Nothing that crashed studies of this store started still runs{where}.", "muted")


async def _sure(found: list[Leftover]) -> bool:
    with ui.dialog() as dialog, ui.card().classes("stack"):
        heading(f"End {len(found)} leftovers?", "h2")
        ui.label("These engines are ended at once. Nothing else is touched.")
        _list(found, [])
        with element("div", "row"):
            ui.button("End them now", on_click=lambda: dialog.submit(True)).props("unelevated no-caps color=negative")
            ui.button("Keep them", on_click=lambda: dialog.submit(False)).props("flat no-caps")
    answer = await dialog
    dialog.delete()
    return bool(answer)


def _busy(context: Context, found: System, begun: int) -> None:
    """Accelerators and workers, as they change after the event ``begun``."""
    none = "None found by NVML or rocm-smi: engines run on the CPU, or are simulated."
    devices = _listed("Accelerators", DEVICES, none)
    idle = "No trial is running. While a study is at work, this shows who measures what, and where."
    claims = _listed("Workers", WORKERS, idle)

    def show(held: Sequence[Accelerator], working: Sequence[Worker]) -> None:
        devices([_device(one) for one in held])
        claims([_worker(one) for one in working])

    async def refresh() -> None:
        with told():
            show(*await in_thread(lambda: (list(accelerators(context.store)), list(workers(context.store)))))

    show(found.accelerators, found.workers)
    watch(context, None, begun, refresh, every=1.0)
    ui.timer(QUIET, refresh)


def _listed(title: str, columns: list[dict[str, Any]], nothing: str) -> Callable[[list[dict[str, Any]]], None]:
    """A card with a table that changes in place, or says why it is empty."""
    with element("section", "card stack"):
        heading(title, "h2")
        hint = text("p", nothing, "muted")
        found = ui.table(columns=columns, rows=[], row_key="key").props("flat dense wrap-cells hide-pagination")
        found.props('rows-per-page-options="[0]"')

    def show(rows: list[dict[str, Any]]) -> None:
        found.rows = rows
        found.visible, hint.visible = bool(rows), not rows

    return show


def _device(one: Accelerator) -> dict[str, Any]:
    held = f"{one.study}, trial {one.trial}" if one.study else "nobody" if one.used < FREE else "other programs"
    memory, used = f"{one.memory / 1e9:.0f} GB", f"{one.used / 1e9:.1f} GB"
    return {"key": one.index, "device": f"{one.index}: {one.name}", "memory": memory, "used": used, "held": held}


def _worker(one: Worker) -> dict[str, Any]:
    silent = "lease has run out" if one.silent is None else f"{one.silent:.0f} s ago"
    return {
        "key": f"{one.study}/{one.trial}",
        "study": one.study,
        "trial": one.trial,
        "where": f"{one.machine}, process {one.pid}",
        "life": "has ended; its trial is given to another" if one.dead else silent,
    }


def _versions(found: System) -> None:
    versions = found.versions
    here = {f"engine {name}": version for name, version in versions.engines.items()}
    here |= {f"harness {name}": version for name, version in versions.harnesses.items()}
    with element("section", "card stack"):
        heading("Versions", "h2")
        own = [("servelab", versions.servelab), ("Python", versions.python), ("machine", versions.machine)]
        facts([*own, *((name, version or "not installed here") for name, version in here.items())])
        with ui.expansion("Packages").props("dense"):
            facts(list(versions.packages.items()))
        ui.link("All that the pages do, as REST (OpenAPI)", "/api/v1/openapi.json", new_tab=True).classes("small")


def _places(found: System) -> None:
    with element("section", "card stack"):
        heading("Places", "h2")
        rows = [(one.holds, one.path, _disk(one)) for one in found.directories]
        table(("Holds", "Path", "Disk"), [("store", found.store, ""), *rows])


def _disk(one: DataDirectory) -> str:
    return f"{one.free / 1e9:,.0f} of {one.total / 1e9:,.0f} GB free"
