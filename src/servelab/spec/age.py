"""How long ago, for people."""

from __future__ import annotations


def age(seconds: float) -> str:
    """A time span in its largest unit: ``48 s``, ``6 min``, ``2 h``, ``3 d``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
