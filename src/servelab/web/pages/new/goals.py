"""What is wanted (objectives), and what must hold (SLOs)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from servelab.spec.goal import SCORE
from servelab.spec.metrics import metric, metric_names
from servelab.web.pages.frame import heading
from servelab.web.pages.new.fields import Fields, row
from servelab.web.pages.parts import element, text

DIRECTIONS = {"minimize": "as low as possible", "maximize": "as high as possible"}
BOUNDS = {"max": "at most", "min": "at least"}
FIRST = ("ttft_p50", "ttft_p95", "itl_p50", "itl_p95", "tpot_p95", "e2e_p95", "output_throughput")
"""Metrics that most people mean, at the top of the list."""


def metrics(chosen: str) -> dict[str, str]:
    """Every metric with what it is, the usual ones first."""
    names = [*FIRST, *(name for name in metric_names() if name not in FIRST and name != SCORE)]
    return {name: f"{name}: {metric(name).title}" for name in [*names, *([chosen] if chosen == SCORE else [])]}


def goals(fields: Fields, rebuild: Callable[[], object]) -> None:
    """The part of the form."""
    draft = fields.draft
    with element("section", "card stack"):
        heading("What is wanted", "h2")
        fields.note("objectives")
        for index in range(len(draft.get("objectives", default=()))):
            _objective(fields, index, rebuild)
        first = {"metric": "output_throughput", "direction": "maximize"}
        _add(fields, "objectives", "Add an objective", first, rebuild)
        heading("What must hold (SLO)", "h3")
        fields.note("constraints")
        for index in range(len(draft.get("constraints", default=()))):
            _slo(fields, index, rebuild)
        _add(fields, "constraints", "Add an SLO", {"metric": "ttft_p95", "max": 0.5}, rebuild)
        if any("goodput" in str(goal.get("metric")) for goal in _goals(fields)) or draft.get("request_slo"):
            text("p", "For goodput: what one request must keep to count.", "muted small")
            with row():
                for name in ("ttft", "tpot", "e2e"):
                    fields.number(f"{name.upper()} at most", "request_slo", name, scale=1000, suffix="ms")


def _goals(fields: Fields) -> list[dict[str, Any]]:
    return [*fields.draft.get("objectives", default=()), *fields.draft.get("constraints", default=())]


def _objective(fields: Fields, index: int, rebuild: Callable[[], object]) -> None:
    path = ("objectives", index)
    name = fields.draft.get(*path, "metric", default="")

    def change(chosen: str) -> None:
        at = {"at": fields.draft.get(*path, "at")} if fields.draft.get(*path, "at") is not None else {}
        fields.set(path, {"metric": chosen, "direction": metric(chosen).direction, **at})
        rebuild()

    with row():
        fields.choice("Objective", *path, "metric", options=metrics(name), value=name, then=change).classes("wide")
        direction = fields.draft.get(*path, "direction", default="minimize")
        fields.choice(
            "Direction",
            *path,
            "direction",
            options=DIRECTIONS,
            value=direction,
            then=lambda chosen: fields.set((*path, "direction"), chosen),
        )
        _at(fields, path)
        _remove(fields, path, f"objective {name}", rebuild)
    fields.note(*path)


def _slo(fields: Fields, index: int, rebuild: Callable[[], object]) -> None:
    path = ("constraints", index)
    name = fields.draft.get(*path, "metric", default="")
    side = "min" if fields.draft.get(*path, "min") is not None else "max"
    scale, unit = _unit(name)

    def change(chosen: str) -> None:
        fields.set((*path, "metric"), chosen)
        rebuild()

    def turn(chosen: str) -> None:
        bound = fields.draft.get(*path, side)
        fields.draft.set((*path, side), None)
        fields.set((*path, chosen), bound)
        rebuild()

    with row():
        fields.choice("Metric", *path, "metric", options=metrics(name), value=name, then=change).classes("wide")
        fields.choice("Bound", *path, "bound", options=BOUNDS, value=side, then=turn)
        fields.number("Value", *path, side, scale=scale, suffix=unit)
        _at(fields, path)
        _remove(fields, path, f"SLO {name}", rebuild)
    fields.note(*path)


def _unit(name: str) -> tuple[float, str]:
    """What a value is shown times, and its unit."""
    if name not in metric_names():
        return 1, ""
    if metric(name).unit == "s":
        return 1000, "ms"
    if name == "error_rate" or name.startswith("goodput_ratio"):
        return 100, "%"
    return 1, metric(name).unit


def _at(fields: Fields, path: tuple[str, int]) -> None:
    """The level that a goal reads, where there are several."""
    levels = [*fields.draft.get("load", "concurrency", default=()), *fields.draft.get("load", "rate", default=())]
    if len(levels) > 1 or fields.draft.get(*path, "at") is not None:
        fields.number("At level", *path, "at", usual="all" if path[0] == "constraints" else "mean")


def _add(fields: Fields, part: str, label: str, first: dict[str, Any], rebuild: Callable[[], object]) -> None:
    def add() -> None:
        fields.set((part,), [*fields.draft.get(part, default=()), dict(first)])
        rebuild()

    with element("div"):
        ui.button(label, icon="add", on_click=add).props("flat no-caps dense")


def _remove(fields: Fields, path: tuple[str, int], what: str, rebuild: Callable[[], object]) -> None:
    def remove() -> None:
        fields.set(path, None)
        rebuild()

    ui.button(icon="close", on_click=remove).props(f'flat round dense aria-label="Remove {what}"')
