"""How long a task usually takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ruamel.yaml import YAML

SLOW = 2.0  # times the longest usual duration, from which a task is worth a warning


@dataclass(frozen=True)
class Expected:
    """A range of seconds."""

    low: float
    high: float

    def exceeded_by(self, seconds: float) -> bool:
        """Whether a task that took so long is slow."""
        return seconds > SLOW * self.high

    def __str__(self) -> str:
        if self.high < 60:
            return f"{self.low:.0f}-{self.high:.0f}s"
        low = self.low / 60
        return f"{low:.0f}-{self.high / 60:.0f}m" if low >= 1 else f"{self.low:.0f}s-{self.high / 60:.0f}m"


@cache
def expected(task: str) -> Expected | None:
    """The usual duration of a pipeline's task by its name; None where nothing is known."""
    return next((span for beginning, span in _known().items() if task.startswith(beginning)), None)


@cache
def _known() -> dict[str, Expected]:
    text = (files("servelab.tekton") / "data" / "expected.yaml").read_text(encoding="utf-8")
    spans = YAML(typ="safe", pure=True).load(text)
    return {beginning: Expected(60.0 * low, 60.0 * high) for beginning, (low, high) in spans.items()}
