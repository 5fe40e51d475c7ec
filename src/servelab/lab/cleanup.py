"""Find and end what crashed studies left running."""

from __future__ import annotations

from servelab.platforms.base import Leftover, platform
from servelab.store.store import Store


def leftovers(store: Store) -> list[Leftover]:
    """Engines on this machine that carry the mark of a study in the store, and that nobody waits for."""
    return platform("process", {}).leftovers([record.id for record in store.list_studies()])


def remove_leftovers(store: Store) -> list[Leftover]:
    """End them; returns what was ended."""
    found = leftovers(store)
    for leftover in found:
        platform("process", {}).remove(leftover)
    return found
