"""What each harness needs to be installed: package, version, Python, and whether it brings torch."""

from __future__ import annotations

from dataclasses import dataclass

from servelab.spec.errors import NotFoundError

TORCH = "2.13.0"


@dataclass(frozen=True)
class Recipe:
    """How a harness is installed. ``pythons`` are the versions it runs on, the preferred first."""

    name: str
    package: str
    version: str
    program: str
    pythons: tuple[str, ...]
    megabytes: int
    torch: bool = False
    """Whether it requires torch, of which only the CPU build is installed."""
    part_of: str | None = None
    """The product that it comes with, which is not installed for its sake."""

    @property
    def label(self) -> str:
        """Package and version, as people write them."""
        return f"{self.package} {self.version}"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("aiperf", "aiperf", "0.13.0", "aiperf", ("3.12", "3.11", "3.13"), 1170),
        Recipe("genai-bench", "genai-bench", "0.0.5", "genai-bench", ("3.12", "3.11", "3.10"), 1290),
        Recipe("guidellm", "guidellm", "0.8.1", "guidellm", ("3.12", "3.11", "3.13", "3.10"), 1600, torch=True),
        Recipe("inference-perf", "inference-perf", "0.7.0", "inference-perf", ("3.12", "3.13"), 790),
        Recipe("vllm-bench", "vllm", "0.32.0", "vllm", (), 0, part_of="vLLM"),
    )
}
"""Every harness that can be installed, by name."""


def recipe(name: str) -> Recipe:
    """How the harness called ``name`` is installed.

    Raises:
        NotFoundError: there is no such harness, or none to install.
    """
    if name not in RECIPES:
        raise NotFoundError(f"no harness {name!r} to install", f"There are {', '.join(sorted(RECIPES))}.")
    return RECIPES[name]
