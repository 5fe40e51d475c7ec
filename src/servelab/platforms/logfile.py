"""Engines' logs: read from the end, and kept from filling the disk.

The engine writes straight to the file, so that its last words survive even when servelab is killed. The file is
opened for appending, and so can be cut in place: what is written next goes to the new end.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from servelab.spec.errors import StoreError

LIMIT = 64 * 1024 * 1024  # bytes at which a log is cut
KEPT = 4 * 1024 * 1024  # bytes of it that are kept, in a file beside it
TAIL = 256 * 1024  # bytes looked at for the last lines


def open_log(log: Path) -> BinaryIO:
    """Open a log for an engine to append to; makes its folder.

    Raises:
        StoreError: it cannot be written, which is no fault of the engine or its parameters.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError as error:
        raise StoreError(
            f"cannot write the engine's log {log}: {error.strerror}",
            "Free some space, mend its permissions, or set SERVELAB_HOME to another place; then: servelab resume",
        ) from error


def tail(log: Path, lines: int) -> str:
    """The last lines of a log; empty when there is none."""
    try:
        with log.open("rb") as source:
            source.seek(max(0, os.fstat(source.fileno()).st_size - TAIL))
            text = source.read(TAIL).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def cap(log: Path, limit: int = LIMIT, kept: int = KEPT) -> None:
    """Cut a log that has grown past ``limit`` bytes; its last ``kept`` bytes go to NAME.1 beside it."""
    with log.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= limit:
            return
        file.seek(size - kept)
        log.with_name(log.name + ".1").write_bytes(file.read(kept))
        file.truncate(0)
