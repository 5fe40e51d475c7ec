"""What a check of a machine or a cluster finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What one check found; ``remedy`` may have several lines."""

    check: str
    verdict: Literal["ok", "note", "problem"]
    text: str
    remedy: str = ""
