"""Which devices belong together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from servelab.lab.accelerators.device import Device

FAR = 100
"""For devices that nothing is known of."""


def neighbours(free: Sequence[Device], count: int) -> tuple[Device, ...]:
    """``count`` of the free devices: the nearest to each other, and of those the farthest from what stays free.

    So a trial on one device does not break up a pair that a trial on two could use.
    """

    def cost(chosen: tuple[Device, ...]) -> tuple[int, int]:
        within = sum(_distance(one, other) for one, other in itertools.combinations(chosen, 2))
        left = [device for device in free if device not in chosen]
        return within, -sum(_distance(one, other) for one in chosen for other in left)

    return min(itertools.combinations(free, count), key=cost, default=())


def _distance(one: Device, other: Device) -> int:
    return one.far.get(other.id, FAR)
