"""Write files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from servelab.spec.errors import ServelabError


def write_files(directory: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write each text to its path below ``directory``; every file appears whole or not at all.

    Raises:
        ServelabError: the directory cannot be written, or is full.
    """
    target = directory
    try:
        paths = []
        for name, text in texts.items():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, text, executable=name.endswith(".sh"))
            paths.append(target)
    except OSError as error:
        raise ServelabError(
            f"cannot write {target}: {error.strerror or error}",
            "Free some space or name another directory with --output; the study itself is safe in the store.",
        ) from error
    return tuple(paths)


def _replace(target: Path, text: str, executable: bool) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod((0o777 if executable else 0o666) & ~mask)
        Path(temporary).replace(target)
    except BaseException:  # whatever happened, an interrupt too: leave no half file behind
        Path(temporary).unlink(missing_ok=True)
        raise
