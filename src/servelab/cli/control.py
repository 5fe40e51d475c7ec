"""Commands that steer a study that runs elsewhere."""

from __future__ import annotations

from servelab.cli.output import StoreUrl, console
from servelab.lab.control import cancel_study, pause_study
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
