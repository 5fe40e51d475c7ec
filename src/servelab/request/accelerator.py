"""Which accelerator an experiment runs on."""

from __future__ import annotations

from servelab.catalog.accelerators import Accelerator, find_accelerator
from servelab.request.facts import Facts
from servelab.request.settle import Settled


def accelerator_of(settled: Settled, facts: Facts) -> tuple[str, Accelerator] | None:
    """The accelerator that was named, or that the values file selects; None when it is not known."""
    names = (settled.request.accelerator or "", *facts.values.accelerators)
    return next((found for name in names if (found := named(name)) is not None), None)


def named(label: str) -> tuple[str, Accelerator] | None:
    """What the catalog knows by a name or a node's label: NVIDIA-H100-80GB-HBM3 is h100-80gb."""
    words = label.lower().replace(" ", "-").split("-")
    for start in range(len(words)):
        for end in range(len(words), start, -1):
            short = "-".join(words[start:end])
            if short and (known := find_accelerator(short)) is not None:
                return short, known
    return None
