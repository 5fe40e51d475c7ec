"""Studies that run in a process of their own, so that nobody has to stay: ``python -m servelab.lab.background``.

The process is born with the study's lock (see lock.py), so that there is never a second one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from servelab.lab.lock import holding
from servelab.lab.paths import study_directory
from servelab.lab.results import finish_report
from servelab.lab.run import RESUMABLE, run_study
from servelab.spec.errors import MachineError, ServelabError
from servelab.spec.trial import StudyRecord
from servelab.store.store import AT_WORK, Store, open_store

LOG, REPORT = "background.log", "report"
RESTARTS = 3
"""So often a study is taken up again without anything measured in between."""
RESTARTED = "restarted"
_STEPS = (RESTARTED, "measured", "finished", "paused")
"""Events that tell whether a study gets on; one that was paused is looked at anew."""
TOLD = ("fetch", "leftover", "starting", "waiting", "ready", "measuring")
"""What is noted as an event, for those who watch; the rest is noted anyway, or is too much."""


def start_in_background(store: Store, study: str) -> StudyRecord:
    """Run or resume a study in a process that outlives this one; does nothing when one works on it already.

    Where one still finishes the trials of a study that was paused, it goes on after that: see take_up.

    Raises:
        NotFoundError: no such study.
        ServelabError: it has ended.
        MachineError: there is no room for a process.
    """
    record = store.get_study(study)
    if record.state not in RESUMABLE:
        raise ServelabError(f"study {record.id} has ended ({record.state})", f"See: servelab report {record.id}")
    with holding(record.id) as lock:
        if record.state == "paused" or (lock and record.state == "waiting"):
            said = "starts" if lock else "goes on when its running trials have finished"
            store.set_study_state(record.id, "waiting", said)
        if lock:
            _spawn(store, record.id, lock)
    return store.get_study(record.id)


def take_up(store: Store) -> None:
    """Go on with studies that run in the background here, and whose process is gone before they ended.

    One whose process dies again and again before it has measured anything is left paused.
    """
    for row in store.list_studies():
        if row.state not in ("waiting", *AT_WORK) or not log_of(row.id).exists():
            continue
        with holding(row.id, patience=0) as lock:
            if not lock or store.study_state(row.id) != row.state:
                continue
            if store.newest_kinds(row.id, _STEPS, RESTARTS) == [RESTARTED] * RESTARTS:
                said = f"its process ended {RESTARTS + 1} times without measuring anything: see {log_of(row.id)}"
                store.set_study_state(row.id, "paused", said)
            else:
                store.append_event(row.id, None, RESTARTED, {"message": "its process had ended"})
                _spawn(store, row.id, lock)


def _spawn(store: Store, study_id: str, lock: IO[bytes]) -> None:
    """Start the process of a study, which inherits its lock.

    Raises:
        MachineError: it cannot be started.
    """
    # -P: the directory that the server was started in holds nobody's modules.
    command = [sys.executable, "-P", "-m", "servelab.lab.background", study_id, str(lock.fileno())]
    try:
        with log_of(study_id).open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, "SERVELAB_STORE": store.url},  # not an argument: it may hold a password
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
    except OSError as error:
        raise MachineError(f"cannot start the process of study {study_id}: {error.strerror}") from error
    threading.Thread(target=process.wait, daemon=True).start()  # or it would stay as a zombie


def log_of(study_id: str) -> Path:
    """What the process of a study that runs in the background said, if it had to say something."""
    return study_directory(study_id) / LOG


def report_directory(study_id: str) -> Path:
    """Where a study that ran in the background leaves its report."""
    return study_directory(study_id) / REPORT


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


def main() -> None:
    """Run the study named on the command line, from the store that the environment names."""
    study_id, lock = sys.argv[1], int(sys.argv[2])
    os.set_inheritable(lock, False)  # an engine that outlives us must not hold it
    try:
        asyncio.run(_run(open_store(), study_id))
    except ServelabError as error:
        sys.exit(str(error))  # the study has its message too


if __name__ == "__main__":
    main()
