"""Find and end what crashed studies left running, on every platform that they used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from servelab.platforms.base import Leftover, Platform, platform
from servelab.spec.errors import ClusterError, DeployError, ServelabError
from servelab.store.store import Store

Unreachable = Callable[[ServelabError], object]
"""Is told of platforms that cannot be asked now."""


def leftovers(store: Store, unreachable: Unreachable | None = None) -> list[Leftover]:
    """Engines that carry the mark of a study in the store, and that nobody waits for.

    Raises:
        ServelabError: a platform cannot be asked, and ``unreachable`` is not there to be told.
    """
    return [leftover for leftover, _ in _found(store, unreachable)]


def remove_leftovers(store: Store, unreachable: Unreachable) -> list[Leftover]:
    """End them; returns what was ended."""
    removed = []
    for leftover, where in _found(store, unreachable):
        try:
            where.remove(leftover)
            removed.append(leftover)
        except (DeployError, ClusterError) as error:
            unreachable(error)
    return removed


def _found(store: Store, unreachable: Unreachable | None) -> Iterator[tuple[Leftover, Platform]]:
    for where, studies in _platforms(store):
        try:
            yield from ((leftover, where) for leftover in where.leftovers(studies))
        except (DeployError, ClusterError) as error:
            if unreachable is None:
                raise
            unreachable(error)


def _platforms(store: Store) -> Iterator[tuple[Platform, list[str]]]:
    """Each platform, with each set of options once, and the ids of the studies that used it."""
    found: dict[str, tuple[Platform, list[str]]] = {}
    for row in store.list_studies():
        config = store.get_study(row.id).study.platform
        key = json.dumps([config.name, config.options], sort_keys=True, default=str)
        if key not in found:
            found[key] = platform(config.name, config.options), []
        found[key][1].append(row.id)
    return iter(found.values())
