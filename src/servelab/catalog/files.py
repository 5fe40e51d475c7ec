"""Read the catalog's YAML files: servelab's own, and over them the user's and the project's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_config_path
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML

from servelab.catalog.nearest import suggestion
from servelab.spec.base import Spec
from servelab.spec.document import Document, parse_document
from servelab.spec.errors import DocumentError

KINDS = ("accelerators", "ambiguous", "images", "models", "workloads", "llamacpp", "sglang", "trtllm", "vllm")
"""Parts of the catalog; the engines' are their arguments."""

PROJECT = "servelab.d"

Entry = TypeVar("Entry", bound=Spec)


def read_data(name: str) -> Any:
    """The plain data of ``data/NAME.yaml``, without what users added.

    Raises:
        FileNotFoundError: there is no such file.
    """
    text = (files("servelab.catalog") / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    return YAML(typ="safe", pure=True).load(text)


def read_entries(kind: str, entry: type[Entry]) -> dict[str, Entry]:
    """The entries of one part of the catalog by name, with the user's and the project's.

    Raises:
        DocumentError: a file of theirs is wrong; each fault with file, line and column.
    """
    data = read_data(kind)
    own = [overlay for overlay in overlays() if Path(overlay.source).stem == kind]
    for overlay in own:
        data = merged(data, overlay.data)
    return {name: _entry(entry, name, raw, own) for name, raw in data.items()}


def overlays() -> list[Document]:
    """The users' own files, the later ones stronger: ``~/.config/servelab/catalog/*.yaml``, ``servelab.d/*.yaml``.

    Raises:
        DocumentError: a file cannot be read, or its name is no part of the catalog.
    """
    return [_read(path) for folder in folders() if folder.is_dir() for path in sorted(folder.glob("*.yaml"))]


def folders() -> Iterator[Path]:
    """Where users keep their own entries: of their account, then of the project they are in."""
    yield user_config_path("servelab") / "catalog"
    yield Path(PROJECT)


def merged(data: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` with ``more`` over it, key by key; a list is replaced as a whole."""
    result = dict(data)
    for key, value in more.items():
        there = result.get(key)
        both = isinstance(value, Mapping) and isinstance(there, Mapping)
        result[key] = merged(there, value) if both else value  # type: ignore[arg-type]
    return result


def misplaced(error: ValidationError, own: list[Document], *path: str) -> Exception:
    """The error of an entry, told at its place in the user's file that it comes from; of our own data as it is."""
    faults = [(f"{'.'.join(where)}", where, fault["msg"]) for fault in error.errors() if (where := _where(fault, path))]
    told = tuple(
        f"{overlay.where(where)}: `{name}`: {message.removeprefix('Value error, ')}"
        for name, where, message in faults
        for overlay in reversed(own)
        if where[:1] in overlay.positions
    )
    return DocumentError(told, "Mend the file, or remove the entry; docs/catalog.md describes it.") if told else error


def _where(fault: ErrorDetails, path: tuple[str, ...]) -> tuple[str, ...]:
    """The place of a fault: name of the entry, then its fields."""
    parts = tuple(str(part) for part in (*path, *fault["loc"]))
    return parts[1:] if not path and parts[:1] == ("arguments",) else parts


def _entry(entry: type[Entry], name: str, raw: Any, own: list[Document]) -> Entry:
    try:
        return entry.model_validate(raw)
    except ValidationError as error:
        raise misplaced(error, own, name) from None


def _read(path: Path) -> Document:
    if path.stem not in KINDS:
        known = ", ".join(f"{kind}.yaml" for kind in KINDS)
        raise DocumentError(
            (f"{path}: the catalog has no part {path.stem!r}{suggestion(path.stem, KINDS)}",), f"Parts are {known}."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError((f"{path}: cannot be read: {error}",), "Make it a readable text in UTF-8.") from None
    return parse_document(text, str(path))
