"""Find an engine that is installed, and its version, without importing it: that would load torch."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

LONGEST_SHEBANG = 256  # bytes of a script that the kernel looks at; see execve(2)


@cache
def program(name: str) -> str:
    """The path of ``name`` beside our own Python (an engine in our environment), else the bare name, left to PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else name


@cache
def installed_version(package: str) -> str | None:
    """The version of ``package`` that would be imported here, or None when it is not installed."""
    return _version(package, sys.path)


def launched_version(package: str, executable: str) -> str | None:
    """The version of ``package`` that ``executable`` (a script's path, or its name on PATH) runs.

    Read from the environment of the script's interpreter, or else the one that holds the script. None when neither
    has it: a wrapper in shell, say, which may start anything.
    """
    path = shutil.which(executable)
    return _environment_version(package, path) if path else None


@cache
def _environment_version(package: str, script: str) -> str | None:
    found = (_version(package, places) for places in _environments(Path(script)))
    return next((version for version in found if version), None)


def _version(package: str, places: list[str]) -> str | None:
    return next((one.version for one in distributions(name=package, path=places)), None)


def _environments(script: Path) -> Iterator[list[str]]:
    """Where packages of the script's interpreter lie, and of the environment whose ``bin`` holds the script."""
    interpreter = _interpreter(script)
    if interpreter == Path(sys.executable):
        yield sys.path
    for program in (interpreter, script.resolve()):
        if program is not None:  # the interpreter is not resolved: that of an environment is a link out of it
            yield [str(place) for place in program.parent.parent.glob("lib*/python3*/*-packages")]


def _interpreter(script: Path) -> Path | None:
    """The Python that the script's first line names; None when it is no script of Python."""
    try:
        with script.open("rb") as source:
            first = source.readline(LONGEST_SHEBANG).decode(errors="replace")
    except OSError:  # it may be run, but not read
        return None
    words = first.removeprefix("#!").split() if first.startswith("#!") else []
    if words and Path(words[0]).name == "env":
        words = [found for word in words[1:2] if (found := shutil.which(word))]
    return Path(words[0]) if words and Path(words[0]).name.startswith("python") else None
