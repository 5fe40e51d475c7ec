"""What serving costs, by the price that the person gives."""

from __future__ import annotations

from nicegui import ui

from servelab.report.cost import Cost, needed_accelerators, price_text, serving_costs
from servelab.report.digest import Digest
from servelab.report.words import count
from servelab.web.pages.frame import heading, told
from servelab.web.pages.parts import element, notice, table, text

HIGHEST = 1e6


def cost_card(found: Digest) -> None:
    """The card: a field for the price, and what comes of it."""
    assert found.verdict.trial is not None  # there is something to serve with
    devices = needed_accelerators(found, found.verdict.trial)
    what = "accelerator" if devices else "machine"
    with element("section", "card stack"):
        heading("What it costs", "h2")
        needs = f"One deployment needs {count(devices, 'accelerator')}." if devices else "It needs no accelerator."
        text("p", f"{needs} The numbers hold for a deployment that is kept as busy as it was when measured.", "muted")
        if found.simulated:
            notice("The throughput is simulated, and so is what it costs.", "warn")
        price = ui.number(f"Price of one {what} for an hour", min=0, max=HIGHEST, format="%.4g").props(
            'outlined dense debounce=300 inputmode=decimal hint="In any currency"'
        )
        shown = element("div")

    def refresh() -> None:
        shown.clear()
        if price.value is None or not 0 <= price.value <= HIGHEST:
            return
        with told():
            costs = serving_costs(found, float(price.value))
            with shown:
                _costs(found, costs)

    price.on_value_change(refresh)


def _costs(found: Digest, costs: tuple[Cost, ...]) -> None:
    rows = [
        (
            f"trial {cost.trial}" + (" (default)" if cost.trial == found.verdict.default else ""),
            level.load,
            price_text(cost.per_hour),
            price_text(level.per_million_output),
            "-" if level.per_million_tokens is None else price_text(level.per_million_tokens),
        )
        for cost in costs
        for level in cost.loads
    ]
    names = ("Configuration", "Load", "An hour", "A million output tokens", "A million tokens, prompt and output")
    table(names, rows, numbers=(2, 3, 4), caption="What it costs")
