"""What llm-d-benchmark's scenarios can say: variables, their defaults, and which value of a guide each takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from servelab.catalog.files import read_data
from servelab.spec.base import Spec

PREFIX = "LLMDBENCH_"
CUSTOM_PLUGINS = "VLLM_MODELSERVICE_GAIE_CUSTOM_PLUGINS"
"""The one variable that scenarios set although env.sh does not know it."""
_REFERENCE = re.compile(r"\$\{?LLMDBENCH_(\w+)\}?")


class ScenarioField(Spec):
    """Where a value of a guide goes."""

    variable: str
    path: str = ""
    """In a declarative scenario; empty where it has no place there."""
    file: bool = False
    """Whether the variable names a file that holds the value."""


class Scenarios(Spec):
    """The whole of ``guides.yaml``."""

    fields: Mapping[str, ScenarioField]
    flags: Mapping[str, str]
    automatic_with_multinode: tuple[str, ...]
    accelerators: Mapping[str, str]
    without_vllm: tuple[str, ...]
    run_paths: Mapping[str, str]
    presets: tuple[str, ...]
    profiles: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, str]

    def known(self, variable: str) -> bool:
        """Whether a scenario may set a variable (without its prefix)."""
        return variable in self.defaults or variable == CUSTOM_PLUGINS

    def default(self, variable: str, given: Mapping[str, str]) -> str | None:
        """What a variable is where the scenario does not set it; ``given`` are those that it does set."""
        value = self.defaults.get(variable)
        for _ in range(5):  # references of references
            reference = _REFERENCE.fullmatch(value or "")
            if reference is None:
                return value
            value = given.get(reference[1], self.defaults.get(reference[1]))
        return value


@cache
def scenarios() -> Scenarios:
    """All that is known of scenarios."""
    return Scenarios.model_validate(read_data("guides"))
