"""All studies: how far each is, the best so far, and what can be done with it."""

from __future__ import annotations

import time
from typing import Any

from nicegui import ui

from servelab.spec.age import age
from servelab.spec.metrics import format_metric
from servelab.web.context import Context
from servelab.web.overview import StudyLine
from servelab.web.pages.actions import act, actions
from servelab.web.pages.frame import frame, heading, watch
from servelab.web.pages.parts import STATES, element, empty, iso

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "label": "Study", "field": "id", "align": "left", "sortable": True},
    {"name": "state", "label": "State", "field": "state", "align": "left", "sortable": True},
    {"name": "share", "label": "Trials", "field": "share", "align": "left", "sortable": True},
    {"name": "best", "label": "Best so far", "field": "best", "align": "right"},
    {"name": "model", "label": "Model", "field": "model", "align": "left", "sortable": True},
    {"name": "created", "label": "Age", "field": "created", "align": "right", "sortable": True, "classes": "unbroken"},
    {"name": "actions", "label": "Actions", "field": "id", "align": "right", "classes": "unbroken"},
]
NAME = """<a :href="'/studies/' + props.row.id">{{ props.row.id }}</a>
<span v-if="props.row.simulated" class="small warn"> simulated</span>
<div class="small muted" style="white-space: normal">{{ props.row.message }}</div>"""
STATE = """<span :class="'state ' + props.row.tone">{{ props.row.state }}</span>"""
SHARE = """<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
:aria-label="'Progress of ' + props.row.id" :aria-valuenow="Math.round(100 * props.row.share)">
<i :style="{width: 100 * props.row.share + '%'}"></i></div>
<div class="small muted">{{ props.row.progress }}</div>"""
AGE = """<time :datetime="props.row.iso" data-told="" :title="props.row.iso">{{ props.row.age }}</time>"""
ACTIONS = """<q-btn v-if="props.row.answered" flat dense no-caps color="primary" label="Answer"
:aria-label="'Answer of ' + props.row.id" :href="'/studies/' + props.row.id + '/recommendation'" />
<q-btn v-for="name in props.row.actions" flat dense no-caps color="primary"
:key="name" :label="name" :aria-label="name + ' ' + props.row.id" @click="$parent.$emit('act', [name, props.row.id])"
/>"""
CELLS = {"id": NAME, "state": STATE, "share": SHARE, "created": AGE, "actions": ACTIONS}
CARD = f"""<div class="study-card card stack tight"><div class="head"><div class="grow">{NAME}</div>{STATE}</div>
{SHARE}<dl class="facts small"><dt>Best so far</dt><dd>{{{{ props.row.best }}}}</dd>
<dt>Model</dt><dd>{{{{ props.row.model }}}}</dd><dt>Age</dt><dd>{AGE}</dd></dl><div class="row">{ACTIONS}</div></div>"""
"""A study on a phone, where a table would have to be scrolled sideways."""


async def page(context: Context) -> None:
    """The first page."""
    store, begun = context.store, context.live.last
    lines = await context.overview.lines()
    with frame("Studies", "/"):
        with element("div", "head studies-head"):
            heading("Studies").classes("grow")
            search = ui.input(placeholder="Search").props('outlined dense clearable aria-label="Search studies"')
            states = ui.select(["all states", *STATES], value="all states").props(
                'outlined dense options-dense aria-label="State"'
            )
            ui.button("New study", icon="add", on_click=lambda: ui.navigate.to("/new")).props("unelevated no-caps")
        nothing = empty(
            "No studies yet",
            "A study says model, engine, workload and goal; its trials are run on the engine and compared.",
        )
        with nothing:
            ui.link("Write the first one", "/new")
        table = ui.table(columns=COLUMNS, rows=[], row_key="id", pagination=25).props("flat bordered wrap-cells")
        table.props[":grid"] = "Quasar.Screen.lt.sm"
        for name, cell in CELLS.items():
            table.add_slot(f"body-cell-{name}", f'<q-td :props="props">{cell}</q-td>')
        table.add_slot("item", CARD)

        def show(found: list[StudyLine]) -> None:
            wanted = (search.value or "").lower()
            table.rows = [
                _row(line)
                for line in found
                if states.value in ("all states", line.state) and wanted in f"{line.id} {line.model}".lower()
            ]
            table.visible, nothing.visible = bool(found), not found

        async def refresh() -> None:
            nonlocal lines
            lines = await context.overview.lines()
            show(lines)

        async def wish(event: Any) -> None:
            name, study_id = event.args
            await act(store, name, study_id)

        table.on("act", wish)
        for control in (search, states):
            control.on_value_change(lambda: show(lines))
        show(lines)
        watch(context, None, begun, refresh)
        ui.timer(20, lambda: show(lines))  # ages


def _row(line: StudyLine) -> dict[str, Any]:
    again = f", {line.verified:,} of {line.to_verify:,} measured again" if line.verifications else ""
    return {
        "id": line.id,
        "message": line.message,
        "simulated": line.simulated,
        "state": line.state,
        "tone": STATES.get(line.state, ""),
        "share": line.share,
        "progress": f"{line.done:,} of {line.planned:,}{again}",
        "best": "-" if line.best is None else f"{format_metric(line.objective, line.best)} {line.objective}",
        "model": line.model,
        "created": -line.created_at,
        "age": age(time.time() - line.created_at),
        "iso": iso(line.created_at),
        "actions": actions(line.state),
        "answered": line.state == "complete",
    }
