"""Lift documents of older schema versions to today's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from servelab.spec.errors import DocumentError
from servelab.spec.study import SCHEMA_VERSION

Migration = Callable[[dict[str, Any]], dict[str, Any]]

MIGRATIONS: dict[int, Migration] = {}
"""Version -> how to lift a document of that version to the next; version 1 is the first there is."""


def migrate(data: dict[str, Any]) -> dict[str, Any]:
    """Lift ``data`` to today's schema version; a document without a version is of today's.

    Raises:
        DocumentError: the version is newer than this program, or no version at all.
    """
    version = data.get("version", SCHEMA_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DocumentError((f"version: {version!r} is not a schema version; today's is {SCHEMA_VERSION}",))
    if version > SCHEMA_VERSION:
        raise DocumentError(
            (f"version: this document has schema version {version}, this servelab knows {SCHEMA_VERSION}",),
            "Upgrade servelab.",
        )
    while version < SCHEMA_VERSION:
        data = MIGRATIONS[version](data)
        version += 1
        data = {**data, "version": version}
    return data
