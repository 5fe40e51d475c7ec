"""Find the logs of a trial."""

from __future__ import annotations

from pathlib import Path

from servelab.lab.paths import trial_directory
from servelab.spec.errors import NotFoundError, StoreError
from servelab.store.store import Store


def engine_log(store: Store, study_id: str, number: int | None) -> str:
    """The text of the newest engine log of a trial; of the last trial that has one when ``number`` is None.

    Raises:
        NotFoundError: there is no such trial, or it started no engine on this machine.
    """
    numbers = [number] if number is not None else [trial.number for trial in reversed(store.trials(study_id))]
    for candidate in numbers:
        path = _newest(trial_directory(study_id, candidate))
        if path is not None:
            try:
                return path.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                raise StoreError(f"cannot read {path}: {error.strerror}", "Check its permissions.") from error
    which = "no trial" if number is None else f"trial {number}"
    raise NotFoundError(
        f"{which} of {study_id} has an engine log on this machine", "Its trials may have run on another, or not yet."
    )


def _newest(directory: Path) -> Path | None:
    logs = sorted(directory.glob("engine-*.log"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else None
