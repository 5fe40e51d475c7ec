"""Find the logs of a trial."""

from __future__ import annotations

from pathlib import Path

from servelab.lab.paths import trial_directory
from servelab.spec.errors import NotFoundError, StoreError
from servelab.store.store import Store

TAIL = 64 << 10  # bytes


def engine_log(store: Store, study_id: str, number: int | None) -> str:
    """The text of the newest engine log of a trial; of the last trial that has one when ``number`` is None.

    Raises:
        NotFoundError: there is no such trial, or it started no engine on this machine.
    """
    numbers = [number] if number is not None else [trial.number for trial in reversed(store.trials(study_id))]
    for candidate in numbers:
        path = _newest(trial_directory(study_id, candidate))
        if path is not None:
            return _read(path, 0)
    raise _no_log(study_id, number)


def engine_log_file(study_id: str, number: int) -> Path:
    """The newest engine log of a trial on this machine.

    Raises:
        NotFoundError: it started no engine here.
    """
    path = _newest(trial_directory(study_id, number))
    if path is None:
        raise _no_log(study_id, number)
    return path


def log_tail(study_id: str, number: int, most: int = TAIL) -> str:
    """The last lines of a trial's newest engine log, of at most so many bytes; empty where there is none.

    Raises:
        StoreError: it cannot be read.
    """
    path = _newest(trial_directory(study_id, number))
    return "" if path is None else _read(path, most)


def _read(path: Path, most: int) -> str:
    """A file's text; its last whole lines where it is longer than ``most`` bytes, unless that is 0."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, 2)
            file.seek(max(0, length - most) if most else 0)
            text = file.read(most or -1).decode("utf-8", errors="replace")
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", "Check its permissions.") from error
    return text.partition("\n")[2] or text if most and length > most else text


def _no_log(study_id: str, number: int | None) -> NotFoundError:
    which = "no trial" if number is None else f"trial {number}"
    return NotFoundError(
        f"{which} of {study_id} has {'an' if number is None else 'no'} engine log on this machine",
        "Its trials may have run on another, or not yet.",
    )


def _newest(directory: Path) -> Path | None:
    logs = sorted(directory.glob("engine-*.log"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else None
