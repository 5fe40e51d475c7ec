"""Commands that steer a study that runs elsewhere."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from servelab.cli.output import StoreUrl, console
from servelab.lab.control import cancel_study, delete_study, pause_study
from servelab.store.store import open_store


def pause(study: str = "", *, store: StoreUrl = None) -> None:
    """Let the running trials of a study finish, and start no more.

    Parameters
    ----------
    study
        Id, beginning of an id, or name; default: the last one.
    """
    record = pause_study(open_store(store), study)
    console.print(f"{record.id} pauses after its running trials; go on with: servelab resume {record.id}")


def cancel(study: str = "", *, store: StoreUrl = None) -> None:
    """Stop a study for good; what was measured stays.

    Parameters
    ----------
    study
        Id, beginning of an id, or name; default: the last one.
    """
    record = cancel_study(open_store(store), study)
    console.print(f"{record.id} is cancelled; what it measured stays: servelab report {record.id}")


def delete(study: str, *, yes: Annotated[bool, cyclopts.Parameter(negative="")] = False, store: StoreUrl = None) -> int:
    """Remove a study that nobody works on, with all that it measured.

    Parameters
    ----------
    study
        Id, beginning of an id, or name.
    yes
        Do not ask.
    """
    opened = open_store(store)
    found = opened.find_study(study)
    if not yes and not _sure(found.id):
        console.print("Nothing was removed.")
        return 1
    delete_study(opened, found.id)
    console.print(f"{found.id} is removed")
    return 0


def _sure(study: str) -> bool:
    try:
        return console.input(f"Remove {study} with all that it measured? \\[y/N] ").strip().lower() == "y"
    except EOFError:  # nobody is there to answer
        return False
