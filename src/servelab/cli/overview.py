"""The status of studies, for people and for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from servelab.cli.output import console, print_json
from servelab.spec.age import age
from servelab.store.store import Store

if TYPE_CHECKING:
    from servelab.spec.trial import Event

STEADY = ("complete", "failed", "cancelled", "paused")


def study_lines(store: Store, json: bool) -> None:
    """A line for each study, the newest first."""
    found = store.list_studies()
    if json:
        print_json([_short(row) for row in found])
        return
    if not found:
        console.print("no studies yet; start with [bold]servelab quickstart[/], or see examples/")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("study", "state", "age"):
        table.add_column(column)
    for row in found:
        table.add_row(row.id, row.state, age(time.time() - row.created_at))
    console.print(table)


def _short(row: Any) -> dict[str, Any]:
    return {"id": row.id, "state": row.state, "created_at": row.created_at, "message": row.message}


def study_overview(store: Store, name: str, json: bool) -> None:
    """One study: how far it is, its counts and the best so far."""
    from servelab.lab.extent import extent

    row = store.find_study(name)
    summary = store.summary(row.id)
    if json:
        print_json({**_short(row), **summary.as_dict()})
        return
    console.print(f"[bold]{row.id}[/]  {row.state}  {escape(row.message)}")
    reached = extent(store.get_study(row.id), summary)
    then = f", {reached.verified} of {reached.to_verify} to verify the best" if reached.to_verify else ""
    console.print(f"  {reached.searched} of {reached.to_search} trials have ended{then} ({reached.share:.0%})")
    console.print("  " + ", ".join(f"{count} {state}" for state, count in summary.counts.items()))
    if summary.verifications:
        console.print("  verification: " + ", ".join(f"{n} {state}" for state, n in summary.verifications.items()))
    if summary.best is not None:
        console.print(f"  best so far: {summary.objective} {summary.best:.6g} (trial {summary.best_trial})")


def follow_study(store: Store, name: str, every: float) -> None:
    """Print a study's events as they come, until it rests."""
    record = store.find_study(name)
    console.print(f"[bold]{record.id}[/]")
    last = 0
    while True:
        for event in store.events(last, record.id):
            last = event.id
            console.print(event_line(event))
        if store.study_state(record.id) in STEADY and not store.events(last, record.id):
            return
        time.sleep(every)


def event_line(event: Event) -> str:
    """One event for the terminal."""
    when = time.strftime("%H:%M:%S", time.localtime(event.time))
    trial = f"trial {event.trial}  " if event.trial is not None else ""
    details = "  ".join(f"{key}={value}" for key, value in event.data.items() if value not in (None, "", {}, []))
    return f"[dim]{when}[/]  {trial}{escape(event.kind)}  {escape(details)}"
