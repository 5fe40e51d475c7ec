"""Container images of engines that are known."""

from __future__ import annotations

from functools import cache

from servelab.catalog.files import read_entries
from servelab.spec.base import Spec


class Image(Spec):
    """An image, its tags, and the flags that only it knows."""

    image: str
    tags: tuple[str, ...]
    provides: tuple[str, ...] = ()
    spoken: tuple[str, ...] = ()
    notes: str


@cache
def images() -> dict[str, Image]:
    """All images by name."""
    return read_entries("images", Image)
