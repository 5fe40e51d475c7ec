"""What trials have in common and where they differ: settings, metrics at each load, distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nicegui import ui

from servelab.report.compare import ComparedTrials, Difference, MetricRow
from servelab.report.distributions import LATENCIES
from servelab.report.rows import USUAL, title
from servelab.report.words import signed, value_text
from servelab.spec.metrics import format_metric, metric
from servelab.spec.trial import StudyRecord, Trial
from servelab.web.charts import chart, palette
from servelab.web.pages.frame import heading, is_dark
from servelab.web.pages.parts import Cell, element, lines, notice, table, text
from servelab.web.quantile_charts import COMPARED, curves, quantile_chart, told

Measured = Sequence[tuple[StudyRecord, Trial]]
SHOWN = (*USUAL, "goodput", "tpot_p50", "tpot_p95", "e2e_p50", "error_rate")
TONES = {"better": "good", "worse": "bad"}
WORDS = {"one measurement": "measured once"}


def compared(found: ComparedTrials, trials: Measured) -> None:
    """Everything there is to say of them."""
    _cautions(found)
    names = _names(found, trials)
    _settings(found, names)
    with element("section", "card stack"):
        heading("Measured", "h2")
        if not found.loads:
            notice("No two of them were measured at the same load, so there is nothing to hold against each other.")
            return
        with ui.tabs().props('align=left no-caps dense outside-arrows mobile-arrows aria-label="Load"') as tabs:
            for load in found.loads:
                ui.tab(load)
        with ui.tab_panels(tabs, value=found.loads[-1], animated=False).classes("panels"):
            for load in found.loads:
                with ui.tab_panel(load).classes("stack"):
                    _load(found, names, load, trials)


def _cautions(found: ComparedTrials) -> None:
    if any(column.simulated for column in found.columns):
        notice("Simulated engine: what comes from it describes no real machine.", "warn")
    if found.cautions:
        with element("div", "notice warn").props("role=status"):
            text("div", "Before you compare them:")
            lines([f"{caution[:1].upper()}{caution[1:]}." for caution in found.cautions])


def _names(found: ComparedTrials, trials: Measured) -> list[Cell]:
    several = len({column.study for column in found.columns}) > 1
    notes = [_note(record, trial, several) for record, trial in trials]
    cells = [Cell(f"trial {c.trial}", note=note) for c, note in zip(found.columns, notes, strict=True)]
    cells[0] = replace(cells[0], note=", ".join(word for word in (cells[0].note, "reference") if word))
    return cells


def _note(record: StudyRecord, trial: Trial, several: bool) -> str:
    """What tells a trial from the others: its study, and what it is if not one of the search."""
    parts = (record.id if several else "", title(trial.kind, trial.verifies, trial.round))
    return ", ".join(part for part in parts if part)


def _settings(found: ComparedTrials, names: list[Cell]) -> None:
    with element("section", "card stack"):
        heading("Parameters", "h2")
        if not found.parameters:
            text("p", "None of them sets any: all run with the engine's defaults.", "muted")
            return
        tones = {True: "differs", False: "muted"}
        rows: list[list[str | Cell]] = [
            [row.name, *(Cell("-" if one is None else value_text(one), tones[row.differs]) for one in row.values)]
            for row in found.parameters
        ]
        table(["Parameter", *names], rows, numbers=_others(names), caption="Parameters of the trials")
        text("p", "Marked: not the same in all. Grey: the same. A dash is left to the engine.", "small muted")


def _others(names: list[Cell]) -> tuple[int, ...]:
    return tuple(range(1, len(names) + 1))


def _load(found: ComparedTrials, names: list[Cell], load: str, trials: Measured) -> None:
    rows = [row for row in found.rows if row.load == load]
    usual = [row for row in rows if row.metric in SHOWN]
    columns: list[str | Cell] = ["Metric", *names]
    table(columns, [_row(row) for row in usual or rows], _others(names), f"Metrics at {load}")
    if any(one.certainty == "one measurement" for row in rows for one in row.values):
        once = "Measured once: the change may be noise. With budget.repeats of 2 or more there is an interval."
        text("p", once, "small muted")
    _charts(load, trials)
    if 0 < len(usual) < len(rows):
        with ui.expansion(f"All {len(rows)} metrics").props("dense").classes("more"):
            table(columns, [_row(row) for row in rows], _others(names), f"All metrics at {load}")


def _row(row: MetricRow) -> list[str | Cell]:
    first, *others = row.values
    name = Cell(row.metric, hint=metric(row.metric).title)
    return [name, format_metric(row.metric, first.value), *(_cell(row.metric, one) for one in others)]


def _cell(name: str, found: Difference) -> str | Cell:
    value = format_metric(name, found.value)
    if found.change is None or found.certainty is None:
        return value
    between = "" if found.low is None or found.high is None else f" ({signed(found.low)} to {signed(found.high)})"
    said = f"{signed(found.change)}{between}, {WORDS.get(found.certainty, found.certainty)}"
    return Cell(value, note=said, note_tone=TONES.get(found.certainty, "muted"))


def _charts(load: str, trials: Measured) -> None:
    several = len({record.id for record, _ in trials}) > 1
    reports = {
        f"trial {trial.number}" + (f" of {record.id}" if several else ""): [
            report for report in trial.reports if report.load.label == load
        ]
        for record, trial in trials
    }
    with element("div", "grid three"):
        for latency in COMPARED:
            found = curves(latency, reports)
            if found:
                with element("figure", "distribution"):
                    text("figcaption", LATENCIES[latency])
                    chart(quantile_chart(palette(is_dark()), latency, found), told(latency, load, found))
