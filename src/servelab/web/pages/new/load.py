"""How much of it at once, and how long each level is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from servelab.spec.load import WAYS
from servelab.web.draft import Draft
from servelab.web.pages.frame import heading
from servelab.web.pages.new.fields import Fields, row
from servelab.web.pages.parts import element, text

SHOWN: dict[str, tuple[str, str, Any]] = {
    "concurrency": ("Requests in flight", "So many at once; the next starts when one ends.", [8]),
    "rate": ("Requests per second", "They come whether or not the server keeps up.", [1]),
    "saturation": ("Search the highest load that keeps the SLOs", "Levels are found out.", {"low": 1, "high": 16}),
    "sweep": ("Sweep", "One at a time, as fast as possible, and rates between.", 5),
    "synchronous": ("One at a time", "The latency of an idle server.", True),
    "throughput": ("As fast as possible", "The throughput of a full server.", True),
}
"""Ways of load in the form: title, what it means, and what it begins with."""


def load(fields: Fields, rebuild: Callable[[], object]) -> None:
    """The part of the form."""
    draft = fields.draft
    way = way_of(draft)
    with element("section", "card stack"):
        heading("How much of it", "h2")
        fields.note("load")
        options = {name: title for name, (title, _, _) in SHOWN.items()}
        options |= {} if way in options else {way: f"{way}, as the YAML says"}

        def change(name: str) -> None:
            draft.put_aside(("load", way), "other")
            draft.bring_back(("load", name), "other", SHOWN.get(name, ("", "", None))[2])
            fields.touch()
            rebuild()

        with row():
            fields.choice("Load", "load", "way", options=options, value=way, then=change).classes("wide")
            _levels(fields, way)
        if way in SHOWN:
            text("p", SHOWN[way][1], "muted small")
        with row():
            fields.number("Requests of a level", "load", "requests")
            if way != "saturation":
                fields.number("or at most", "load", "seconds", suffix="s", usual="no limit")
            fields.number("Warm-up requests", "load", "warmup", usual=2)


def way_of(draft: Draft) -> str:
    """The way of load that the draft has."""
    return next((way for way in WAYS if draft.get("load", way)), "concurrency")


def _levels(fields: Fields, way: str) -> None:
    if way in ("concurrency", "rate"):
        label = "Levels" if way == "concurrency" else "Levels, requests/s"
        fields.values(label, "load", way, hint="one, or several with commas between")
    elif way == "sweep":
        fields.number("Levels", "load", "sweep")
    elif way == "saturation":
        of = {"rate": "requests per second", "concurrency": "requests in flight", "replay": "speed of the replay"}
        chosen = fields.draft.get("load", "saturation", "of", default="rate")
        path = ("load", "saturation", "of")
        fields.choice("of", *path, options=of, value=chosen, then=lambda name: fields.set(path, name))
        fields.number("from", "load", "saturation", "low")
        fields.number("to", "load", "saturation", "high")
