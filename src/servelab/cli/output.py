"""How commands speak: rich text for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from rich.console import Console

from servelab.spec.errors import DocumentError

Json = Annotated[bool, cyclopts.Parameter(name="--json", negative="", help="Print one JSON object instead of text.")]
StoreUrl = Annotated[
    str | None,
    cyclopts.Parameter(
        name="--store", env_var="SERVELAB_STORE", help="SQLite file or postgresql:// URL; default: the user's own."
    ),
]

console = Console(highlight=False)
notes = Console(stderr=True, highlight=False)


def print_json(data: Any) -> None:
    """Print ``data`` as JSON on standard output."""
    json.dump(data, sys.stdout, indent=2, default=_plain, allow_nan=False)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return str(value) if dump is None else dump(mode="json")


def read_text(path: Path) -> str:
    """The text of a file that the user named; ``-`` is standard input.

    Raises:
        DocumentError: it cannot be read.
    """
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError((f"cannot read {path}: {error.strerror or error}",), "Check the path.") from error
    except UnicodeDecodeError as error:
        raise DocumentError((f"{path} is not UTF-8 text (byte {error.start})",)) from error
