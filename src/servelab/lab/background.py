"""Studies that run in a process of their own, so that nobody has to stay: ``python -m servelab.lab.background ID``.

Whoever works on a study holds a lock on a file beside its logs. The kernel lets go of it when the process ends,
however it ends, so a lock that is free says for certain that nobody of this machine works on the study.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from servelab.lab.paths import study_directory
from servelab.lab.results import finish_report
from servelab.lab.run import RESUMABLE, run_study
from servelab.spec.errors import ServelabError
from servelab.spec.trial import StudyRecord
from servelab.store.store import AT_WORK, Store, open_store

LOCK, LOG, REPORT = "background.lock", "background.log", "report"
PATIENCE = 3.0  # seconds: somebody who only looks holds the lock for an instant
TOLD = ("fetch", "leftover", "starting", "waiting", "ready", "measuring")
"""What is noted as an event, for those who watch; the rest is noted anyway, or is too much."""


def start_in_background(store: Store, study: str) -> StudyRecord:
    """Run or resume a study in a process that outlives this one; does nothing when one works on it already.

    Raises:
        NotFoundError: no such study.
        ServelabError: it has ended.
    """
    record = store.get_study(study)
    if record.state not in RESUMABLE:
        raise ServelabError(f"study {record.id} has ended ({record.state})", f"See: servelab report {record.id}")
    if works_on(record.id):
        return record
    directory = study_directory(record.id)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOG).open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "servelab.lab.background", record.id],
            env={**os.environ, "SERVELAB_STORE": store.url},  # not an argument: it may hold a password
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return record


def works_on(study_id: str) -> bool:
    """Whether a process that was started in the background works on a study on this machine."""
    path = study_directory(study_id) / LOCK
    if not path.exists():
        return False
    with path.open("rb") as file:
        return not _locked(file, fcntl.LOCK_SH)


def interrupted(store: Store) -> list[str]:
    """Ids of studies that were run in the background here, and whose process is gone before they ended."""
    rows = (row for row in store.list_studies() if row.state in AT_WORK)
    return [row.id for row in rows if (study_directory(row.id) / LOCK).exists() and not works_on(row.id)]


@contextlib.contextmanager
def _lock(study_id: str) -> Iterator[bool]:
    """Hold the lock of a study; yields False when another process does."""
    with (study_directory(study_id) / LOCK).open("ab") as file:
        deadline = time.monotonic() + PATIENCE
        while not (held := _locked(file, fcntl.LOCK_EX)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield held


def _locked(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _run(store: Store, study_id: str) -> None:
    def tell(kind: str, data: dict[str, Any]) -> None:
        if kind in TOLD:
            said = {name: value for name, value in data.items() if name not in ("trial", "command")}
            store.append_event(study_id, data.get("trial"), kind, said)

    work = asyncio.ensure_future(run_study(store, study_id, tell))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        record = await work
        if record.state in ("complete", "failed"):
            await asyncio.to_thread(finish_report, store, record, report_directory(study_id))


def report_directory(study_id: str) -> Path:
    """Where a study that ran in the background leaves its report."""
    return study_directory(study_id) / REPORT


def main() -> None:
    """Run the study named on the command line, from the store that the environment names."""
    study_id = sys.argv[1]
    try:
        store = open_store()
        with _lock(store.get_study(study_id).id) as free:
            if free:
                asyncio.run(_run(store, study_id))
    except ServelabError as error:
        sys.exit(str(error))  # the study has its message too


if __name__ == "__main__":
    main()
