"""Workload presets."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from servelab.catalog.files import read_entries
from servelab.catalog.nearest import suggestion
from servelab.spec.base import Spec
from servelab.spec.errors import NotFoundError
from servelab.spec.workload import SharedPrefix, Tokens, Workload


class Lengths(Spec):
    """A preset's length distribution in tokens, as its source gives it: the mean may lie outside of [min, max]."""

    mean: PositiveFloat
    stdev: float = 0.0
    min: PositiveInt = 1
    max: PositiveInt = Field(default_factory=lambda fields: max(round(2 * fields["mean"]), 1))


class Preset(Spec):
    """A workload by name, with the load that its source suggests."""

    description: str = ""
    keywords: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    """Words that mean other things too: they count where no other preset is named."""
    prefix: NonNegativeInt = 0
    prompt: Lengths
    output: Lengths
    requests: PositiveInt = 50
    rate: PositiveFloat = 12
    rate_type: Literal["sweep", "constant"] = "sweep"
    seed: int = 42

    def workload(self, name: str) -> Workload:
        """The preset as a workload."""
        return Workload(
            name=name,
            prompt=Tokens(**self.prompt.model_dump()),
            output=Tokens(**self.output.model_dump()),
            prefix=SharedPrefix(tokens=self.prefix) if self.prefix else None,
            seed=self.seed,
        )


@cache
def presets() -> dict[str, Preset]:
    """All presets by name."""
    return read_entries("workloads", Preset)


def get_preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        NotFoundError: there is none; names the nearest.
    """
    found = presets().get(name)
    if found is None:
        raise NotFoundError(
            f"there is no workload preset {name!r}{suggestion(name, presets())}", f"Known are: {', '.join(presets())}."
        )
    return found


def preset_data(name: str) -> dict[str, Any]:
    """A preset's workload as plain data, to merge into a study document."""
    return get_preset(name).workload(name).model_dump(exclude_none=True)
