"""Whether a process of this machine works on a study.

Who does holds a lock on a file beside the study's logs. The kernel lets go of it when the process ends, however it
ends, so a lock that is free says for certain that nobody of this machine works on the study.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from typing import IO

from servelab.lab.paths import study_directory
from servelab.spec.errors import ServelabError, StoreError

PATIENCE = 1.0  # seconds: somebody who only looks holds the lock for an instant


@contextlib.contextmanager
def holding(study_id: str, patience: float = PATIENCE) -> Iterator[IO[bytes] | None]:
    """Hold the lock of a study; yields its file, or None when another process holds it.

    Whoever inherits the file holds the lock on, after this process has closed it.

    Raises:
        StoreError: the study's directory cannot be written.
    """
    path = study_directory(study_id) / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", "Set SERVELAB_HOME to another place.") from error
    with file:
        deadline = time.monotonic() + patience
        while not (held := _locked(file)) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield file if held else None


@contextlib.contextmanager
def working_alone(study_id: str) -> Iterator[None]:
    """Hold the lock of a study.

    Raises:
        ServelabError: another process of this machine works on it.
    """
    with holding(study_id) as lock:
        if lock is None:
            raise ServelabError(
                f"study {study_id} is being run by another process of this machine",
                f"Follow it: servelab status -f {study_id}",
            )
        yield


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
