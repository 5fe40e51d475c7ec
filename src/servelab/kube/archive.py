"""Unpack an archive that came from elsewhere: regular files that are wanted, below a directory, and nothing else."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from servelab.spec.errors import ClusterError


def inside(directory: Path, path: str) -> Path:
    """Where a file goes; never outside of ``directory``, not by links that are there either.

    Raises:
        ClusterError: it would.
    """
    target = directory / path
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ClusterError(
            f"there is a file {path!r}, which would be written outside of {directory}", "Do not trust where it is from."
        )
    if not target.resolve().is_relative_to(directory.resolve()):
        raise ClusterError(f"{target} leads outside of {directory}", "Remove that link.")
    return target


def unpack(archive: IO[bytes], directory: Path, wanted: Callable[[str], str | None]) -> list[str]:
    """Unpack regular files; ``wanted`` says under which path, or None. The paths of those that were unpacked.

    Links, devices and pipes are left out; owners and dangerous modes are not taken over.

    Raises:
        ClusterError: it is no archive, or a file would be written outside of ``directory``.
    """
    if not hasattr(tarfile, "data_filter"):
        raise ClusterError("this Python cannot unpack archives safely", "Use Python 3.11.4 or newer.")
    unpacked = []
    try:
        with tarfile.open(fileobj=archive, mode="r:*") as opened:
            for member in opened:
                path = wanted(str(PurePosixPath(member.name))) if member.isfile() else None
                if path is not None:
                    inside(directory, path)
                    opened.extract(member.replace(name=path, deep=False), directory, filter="data")
                    unpacked.append(path)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ClusterError(f"an archive cannot be unpacked: {error}", "Is it whole, and is there room here?") from error
    return unpacked
