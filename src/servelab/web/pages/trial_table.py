"""The table of a study's trials: rows are fetched as they come into view, and change in place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from servelab.spec.assess import goal_key
from servelab.spec.trial import StudyRecord
from servelab.web.pages.parts import STATES, element
from servelab.web.trials import TrialLine

ENDED = ("waiting", "running", "complete", "failed", "stopped")
BLOCK = 40  # rows that are fetched at once


def ask_ahead(study_id: str) -> None:
    """Ask for the first rows while the browser still loads the table; to be called before the page's elements."""
    address = f"{_address(study_id)}?offset=0&limit={BLOCK}"
    ui.add_head_html(f'<script src="/static/trials.js"></script><script>servelab.ahead({json.dumps(address)})</script>')


def _address(study_id: str) -> str:
    return f"/api/v1/studies/{study_id}/trials"


class TrialTable:
    """The table with its filters."""

    def __init__(self, record: StudyRecord, total: int) -> None:
        self._name = record.id
        with element("div", "row"):
            self._state = ui.select(["all states", *ENDED], value="all states").props(
                'outlined dense options-dense aria-label="State of trials"'
            )
            self._text = ui.input(placeholder="Search: name=value, message, number").props(
                'outlined dense clearable debounce=300 aria-label="Search trials"'
            )
            self._text.classes("grow")
        self._grid = ui.aggrid(_options(record), auto_size_columns=False).classes("trials")
        for control in (self._state, self._text):
            control.on_value_change(self._filter)

    def _filter(self) -> None:
        state = "" if self._state.value == "all states" else self._state.value
        self._run("filter", {"state": state, "text": (self._text.value or "")[:200]})

    def changed(self, lines: Sequence[TrialLine], total: int) -> None:
        """Show these trials anew, of so many."""
        self._run("changed", [line.model_dump(mode="json") for line in lines], total)

    def _run(self, call: str, *arguments: Any) -> None:
        said = ", ".join(json.dumps(one) for one in (self._name, self._grid.id, *arguments))
        ui.run_javascript(f"servelab.{call}({said})")


def _options(record: StudyRecord) -> dict[str, Any]:
    study = record.study
    source = f"servelab.source({json.dumps(record.id)}, {json.dumps(_address(record.id))})"
    goals = list(dict.fromkeys(goal_key(goal) for goal in study.goals))
    return {
        "rowModelType": "infinite",
        "cacheBlockSize": BLOCK,
        "maxBlocksInCache": 20,
        "maxConcurrentDatasourceRequests": 2,
        "blockLoadDebounceMillis": 60,
        "infiniteInitialRowCount": 1,
        ":datasource": source,
        ":getRowId": "(params) => String(params.data.number)",
        "context": {"study": f"/studies/{record.id}", "tones": dict(STATES)},
        "suppressMultiSort": True,
        "suppressFieldDotNotation": True,
        "suppressCellFocus": False,
        "enableCellTextSelection": True,
        "animateRows": False,
        "overlayNoRowsTemplate": "No trial fits.",
        "columnDefs": [
            _column("Trial", "number", "servelab.trial", 130, colId="number", pinned="left"),
            _column("State", "state", "servelab.state", 110, colId="state"),
            _column("Outcome", "outcome", None, 120, sortable=False),
            *(_metric(name) for name in goals),
            *(_parameter(name) for name in study.changed),
            {**_column("What it says", "note", "servelab.note", 420, colId="note"), ":tooltipValueGetter": TOLD},
        ],
    }


TOLD = "(params) => params.data ? `${params.data.note} ${params.data.remedy}`.trim() : ''"


def _column(title: str, field: str, renderer: str | None, width: int, **more: Any) -> dict[str, Any]:
    found = {"headerName": title, "field": field, "width": width, "sortable": True, "resizable": True, **more}
    return found | ({":cellRenderer": renderer} if renderer else {})


def _metric(name: str) -> dict[str, Any]:
    getter = f"(params) => params.data?.metrics[{json.dumps(name)}]"
    return {
        **_column(name, name, "servelab.reading", 250, type="rightAligned", colId=name),
        ":valueGetter": getter,
        ":equals": "(a, b) => a?.text === b?.text",
    }


def _parameter(name: str) -> dict[str, Any]:
    getter = f"(params) => params.data?.parameters[{json.dumps(name)}]"
    width = max(110, 40 + 8 * len(name))
    return {**_column(name, name, "servelab.value", width, type="rightAligned", colId=name), ":valueGetter": getter}
