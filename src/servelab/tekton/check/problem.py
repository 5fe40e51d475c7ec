"""A thing that Tekton would refuse, and where it is."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and indexes from the top of an object."""


@dataclass(frozen=True)
class Problem:
    """What is wrong at ``path`` of an object, ``subject``."""

    subject: str
    path: Path
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {path_text(self.path)}{': ' if self.path else ''}{self.message}"


def path_text(path: Path) -> str:
    """``spec.tasks[3].name`` for ``("spec", "tasks", 3, "name")``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
