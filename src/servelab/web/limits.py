"""How much one client may ask for."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field

MOST_CLIENTS = 4096  # that are remembered


@dataclass
class Buckets:
    """Requests that clients still have: ``rate`` a second come back, up to ``burst``."""

    rate: float
    burst: float
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, client: str) -> float:
        """Take one; 0, or the seconds after which there is one again."""
        now = time.monotonic()
        left, since = self._left.pop(client, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate)
        wait = 0.0 if left >= 1 else (1 - left) / self.rate
        self._left[client] = (left if wait else left - 1, now)
        while len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return wait
