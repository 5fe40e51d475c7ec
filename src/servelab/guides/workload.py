"""Which harness and profile a scenario runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from servelab.catalog.guides import scenarios
from servelab.catalog.nearest import suggestion
from servelab.guides.parse import GuideError

DEFAULT_HARNESS = "inference-perf"
DEFAULT_PROFILE = "sanity_random.yaml"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,100}")


@dataclass(frozen=True)
class Workload:
    """A harness, and the name of its profile's file."""

    harness: str = DEFAULT_HARNESS
    profile: str = DEFAULT_PROFILE
    asked: bool = False
    note: str = ""
    """What is odd about it."""

    @property
    def source(self) -> str:
        """Where it is from, as comments say it."""
        return f"{'the request' if self.asked else 'the default workload'}, not the guide"


def workload(harness: str, profile: str) -> Workload:
    """The workload of ``with HARNESS PROFILE``; a profile's name may lack its ``.yaml``.

    Raises:
        GuideError: the harness is unknown, or a name is none.
    """
    known = scenarios().profiles
    if harness not in known:
        raise GuideError(
            f"llm-d-benchmark has no harness {harness!r}{suggestion(harness, known)}",
            f"Its harnesses are {', '.join(known)}.",
        )
    name = profile or ("nop.yaml" if harness == "nop" else DEFAULT_PROFILE)
    name = name if name.endswith((".yaml", ".yml")) else f"{name}.yaml"
    if not _NAME.fullmatch(name):
        raise GuideError(f"{profile!r} is no name of a profile", "Give the name of a file in workload/profiles.")
    own = name not in known[harness]
    note = f"{harness} ships no profile {name}{suggestion(name, known[harness])}: it must be your own" if own else ""
    return Workload(harness, name, True, note)
