"""The whole catalog in one value, for those who read names of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from servelab.catalog.accelerators import Accelerator, accelerators
from servelab.catalog.engines import Argument, engine_arguments
from servelab.catalog.images import Image, images
from servelab.catalog.models import Ambiguous, KnownModel, ambiguous_names, known_models
from servelab.catalog.workloads import Preset, presets


@dataclass(frozen=True, eq=False)
class Catalog:
    """What is known, by name."""

    models: Mapping[str, KnownModel]
    ambiguous: Mapping[str, Ambiguous]
    presets: Mapping[str, Preset]
    accelerators: Mapping[str, Accelerator]
    images: Mapping[str, Image]

    def arguments(self, engine: str) -> Mapping[str, Argument]:
        """The arguments of an engine by name; empty for one that is not known."""
        return engine_arguments(engine)


@cache
def load_catalog() -> Catalog:
    """servelab's catalog with what the user and the project added.

    Raises:
        DocumentError: a file of theirs is wrong.
    """
    return Catalog(known_models(), ambiguous_names(), presets(), accelerators(), images())
