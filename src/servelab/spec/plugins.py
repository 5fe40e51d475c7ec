"""Find plug-ins by entry point, so that a third party adds one without touching ours."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, Literal

from servelab.spec.errors import NotFoundError

Group = Literal["servelab.engines", "servelab.platforms", "servelab.harnesses", "servelab.samplers"]

_NOUNS: dict[Group, str] = {
    "servelab.engines": "engine",
    "servelab.platforms": "platform",
    "servelab.harnesses": "harness",
    "servelab.samplers": "sampler",
}


def plugin_names(group: Group) -> tuple[str, ...]:
    """The names of all installed plug-ins of a room, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def load_plugin(group: Group, name: str) -> Any:
    """Import the plug-in ``name`` of a room.

    Raises:
        NotFoundError: no such plug-in is installed; the message names the nearest.
    """
    for point in entry_points(group=group, name=name):
        return point.load()
    names = plugin_names(group)
    nearest = get_close_matches(name, names, n=1)
    hint = f"Did you mean {nearest[0]}? " if nearest else ""
    raise NotFoundError(
        f"there is no {_NOUNS[group]} called {name!r}",
        f"{hint}Known are: {', '.join(names)}.",
    )
