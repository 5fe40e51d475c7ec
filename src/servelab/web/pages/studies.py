"""All studies: how far each is, the best so far, and what can be done with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nicegui import ui

from servelab.spec.metrics import format_metric
from servelab.web.context import Context
from servelab.web.overview import StudyLine, study_lines
from servelab.web.pages.actions import act, actions
from servelab.web.pages.frame import frame, heading, in_thread, watch
from servelab.web.pages.parts import STATES, age, element, empty

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "label": "Study", "field": "id", "align": "left", "sortable": True},
    {"name": "state", "label": "State", "field": "state", "align": "left", "sortable": True},
    {"name": "share", "label": "Trials", "field": "share", "align": "left", "sortable": True},
    {"name": "best", "label": "Best so far", "field": "best", "align": "right"},
    {"name": "model", "label": "Model", "field": "model", "align": "left", "sortable": True},
    {"name": "created", "label": "Age", "field": "created", "align": "right", "sortable": True},
    {"name": "actions", "label": "Actions", "field": "id", "align": "right"},
]
NAME = """<q-td :props="props"><a :href="'/studies/' + props.row.id">{{ props.row.id }}</a>
<div class="small muted" style="white-space: normal">{{ props.row.message }}</div></q-td>"""
STATE = """<q-td :props="props"><span :class="'state ' + props.row.tone">{{ props.row.state }}</span></q-td>"""
SHARE = """<q-td :props="props"><div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
:aria-label="'Progress of ' + props.row.id" :aria-valuenow="Math.round(100 * props.row.share)">
<i :style="{width: 100 * props.row.share + '%'}"></i></div>
<div class="small muted">{{ props.row.progress }}</div></q-td>"""
AGE = """<q-td :props="props"><time :datetime="props.row.iso" data-told="" :title="props.row.iso">{{ props.row.age }}
</time></q-td>"""
ACTIONS = """<q-td :props="props"><q-btn v-for="name in props.row.actions" flat dense no-caps color="primary"
:key="name" :label="name" :aria-label="name + ' ' + props.row.id" @click="$parent.$emit('act', [name, props.row.id])"
/></q-td>"""


async def page(context: Context) -> None:
    """The first page."""
    store = context.store
    lines = await in_thread(study_lines, store)
    with frame("Studies", "/"):
        with element("div", "head"):
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
        for slot, template in (
            ("body-cell-id", NAME),
            ("body-cell-state", STATE),
            ("body-cell-share", SHARE),
            ("body-cell-created", AGE),
            ("body-cell-actions", ACTIONS),
        ):
            table.add_slot(slot, template)

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
            lines = await in_thread(study_lines, store)
            show(lines)

        async def wish(event: Any) -> None:
            name, study_id = event.args
            await act(store, name, study_id)

        table.on("act", wish)
        for control in (search, states):
            control.on_value_change(lambda: show(lines))
        show(lines)
        watch(context, None, refresh)
        ui.timer(20, lambda: show(lines))  # ages


def _row(line: StudyLine) -> dict[str, Any]:
    verified = sum(line.verifications.values())
    again = f", {verified} measured again" if verified else ""
    return {
        "id": line.id,
        "message": line.message,
        "state": line.state,
        "tone": STATES.get(line.state, ""),
        "share": line.done / line.planned if line.planned else 0.0,
        "progress": f"{line.done:,} of {line.planned:,}{again}",
        "best": "-" if line.best is None else f"{format_metric(line.objective, line.best)} {line.objective}",
        "model": line.model,
        "created": -line.created_at,
        "age": age(line.created_at),
        "iso": _iso(line.created_at),
        "actions": actions(line.state),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
