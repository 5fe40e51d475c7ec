"""What a harness takes on disk: its environment, or for the builtin one servelab with all that it requires."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BLOCK = 512  # bytes, of st_blocks


def of_environment(program: Path) -> int | None:
    """Bytes of the virtual environment that a program is in; None where it is in none."""
    root = program.parent.parent
    return sum(_bytes(path) for path in root.rglob("*")) if (root / "pyvenv.cfg").is_file() else None


def of_package(name: str) -> int:
    """Bytes of an installed package and all that it requires, extras left out."""
    return sum(_bytes(Path(distribution(one).locate_file(file))) for one in _closure(name) for file in _files(one))


def _closure(name: str) -> set[str]:
    found: set[str] = set()
    left = [name]
    while left:
        one = canonicalize_name(left.pop())
        if one in found:
            continue
        try:
            wanted = [Requirement(text) for text in distribution(one).requires or ()]
        except PackageNotFoundError:  # for another platform, say
            continue
        found.add(one)
        left += [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def _files(name: str) -> list[str]:
    return [str(file) for file in distribution(name).files or ()]


def _bytes(path: Path) -> int:
    """On the disk; a link's own."""
    try:
        return path.lstat().st_blocks * BLOCK
    except OSError:
        return 0
