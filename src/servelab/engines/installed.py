"""Find an engine that is installed, and its version, without importing it: that would load torch."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import distributions
from pathlib import Path


@cache
def program(name: str) -> str:
    """The path of ``name`` beside our own Python (an engine in our environment), else the bare name, left to PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else name


@cache
def installed_version(package: str, executable: str | None = None) -> str | None:
    """The version of ``package`` that would be imported, or None when it is not installed.

    Looked for in our own environment, or in the one whose ``bin`` holds ``executable``.
    """
    return next((one.version for one in distributions(name=package, path=_places(executable))), None)


def _places(executable: str | None) -> list[str]:
    if executable is None:
        return sys.path
    path = shutil.which(executable)
    homes: Iterable[Path] = (Path(path).resolve().parent.parent,) if path else ()
    return [str(place) for home in homes for place in home.glob("lib/python3*/site-packages")]
