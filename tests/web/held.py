"""servelab over a store that is slow when it is told so: a read that the file ``hold`` names waits until that is gone.

What was read is returned as it was before the wait, as by any database that is slow to answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servelab.cli.main import main
from servelab.lab.paths import data_directory
from servelab.store.store import Store


def hold(home: Path) -> Path:
    """The file that names the read."""
    return home / "hold"


def held(home: Path) -> Path:
    """The file that is there when it has been read, and is held."""
    return home / "held"


def _slow(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        found = read(*arguments, **named)
        home = data_directory()
        while hold(home).exists() and hold(home).read_text() == name:
            held(home).touch()
            time.sleep(0.02)
        return found

    return call


if __name__ == "__main__":
    for _name in ("get_study", "summary", "trial"):
        setattr(Store, _name, _slow(_name, getattr(Store, _name)))
    main()
