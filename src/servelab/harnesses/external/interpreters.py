"""Finds the Pythons of this machine, since each harness runs on some versions only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROBE = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
PROBE_TIMEOUT = 20.0  # seconds


def interpreters(versions: tuple[str, ...]) -> Iterator[Path]:
    """Pythons of these versions (as ``3.12``) that can make environments, in the order of ``versions``."""
    seen = set()
    for version in versions:
        for candidate in _candidates(version):
            real = candidate.resolve()
            if real not in seen and candidate.is_file():
                seen.add(real)
                if _version(candidate) == version:
                    yield candidate


def _candidates(version: str) -> Iterator[Path]:
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        yield Path(sys.executable)
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(directory) / f"python{version}"
    # Programs that manage Pythons keep most of them off the PATH.
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    yield from sorted(uv.glob(f"cpython-{version}.*/bin/python{version}"), reverse=True)


def _version(python: Path) -> str | None:
    """What it says of itself; None for one that does not run, as the shim of a Python that is switched off."""
    try:
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
