"""Commands about this machine."""

from __future__ import annotations

from typing import Annotated

import cyclopts
from rich.markup import escape

from servelab.cli.output import Json, StoreUrl, console, print_json

EXIT_PROBLEM = 1

Harness = Annotated[
    bool,
    cyclopts.Parameter(
        negative="",
        help="Instead, hold the load generator against a server whose schedule is known: how far off is it here?",
    ),
]


def doctor(*, store: StoreUrl = None, harness: Harness = False, json: Json = False) -> int:
    """Check engines, store, disk, cores and leftovers; exits 1 when something is wrong.

    With ``harness`` it holds the load generator against a server whose schedule is known, instead.
    """
    from servelab.lab.doctor import examine, examine_harness

    colours = {"ok": "green", "note": "cyan", "problem": "red"}
    found = []
    for finding in examine_harness() if harness else examine(store):
        found.append(finding)
        if not json:
            console.print(
                f"[{colours[finding.verdict]}]{finding.verdict:>8}[/]  {finding.check:18} {escape(finding.text)}"
            )
            if finding.remedy:
                console.print(f"{'':28} {escape(finding.remedy)}")
    if json:
        print_json([vars(finding) for finding in found])
    return EXIT_PROBLEM if any(finding.verdict == "problem" for finding in found) else 0


def cleanup(*, store: StoreUrl = None, json: Json = False) -> None:
    """End engines that crashed studies of this store left running. Touches nothing else."""
    from servelab.lab.cleanup import remove_leftovers
    from servelab.store.store import open_store

    removed = remove_leftovers(open_store(store))
    if json:
        print_json([leftover.model_dump() for leftover in removed])
        return
    for leftover in removed:
        console.print(f"ended {escape(leftover.what)} of study {leftover.mark.study}, trial {leftover.mark.trial}")
    if not removed:
        console.print("nothing was left running")
