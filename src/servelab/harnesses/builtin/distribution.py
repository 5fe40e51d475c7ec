"""A distribution of latencies in bounded memory.

Up to ``EXACT`` values all of them are kept, and quantiles are exact. Beyond, values are counted in buckets whose
width is 1/4096 of a power of two: a quantile is then off by at most 0.013 % (of 20 ms: 2.5 us). Count, sums, least and
greatest stay exact whatever the number. Two distributions merge without loss beyond that.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

EXACT = 1 << 17  # values, 1 MiB
SHIFT = 40  # of a float's 64 bits, those that a bucket does not tell: sign, 11 of exponent and 12 of mantissa stay


class Distribution:
    """Values of at least zero (seconds), added as they come."""

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.count = 0
        self.sum = 0.0
        self.squares = 0.0
        self.least = float("inf")
        self.greatest = 0.0
        self._values: array[float] | None = array("d")
        self._buckets: Counter[int] = Counter()
        self.extend(list(values))

    def __len__(self) -> int:
        return self.count

    @property
    def exact(self) -> bool:
        """Whether quantiles are exact."""
        return self._values is not None

    @property
    def mean(self) -> float:
        """The mean; 0 of nothing."""
        return self.sum / self.count if self.count else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of a sample; 0 of fewer than two values."""
        if self.count < 2:
            return 0.0
        return math.sqrt(max(0.0, self.squares - self.sum * self.mean) / (self.count - 1))

    def append(self, value: float) -> None:
        """Add a value."""
        self.extend((value,))

    def extend(self, values: Sequence[float]) -> None:
        """Add values."""
        if not values:
            return
        new = array("d", values)
        self.count += len(new)
        self.sum += sum(new)
        self.squares += sum([value * value for value in new])
        self.least = min(self.least, *new)
        self.greatest = max(self.greatest, *new)
        # Buckets are filled from the first value on: to fill them all at once would take 20 ms in mid-stream.
        self._buckets.update([bits >> SHIFT for bits in memoryview(new).cast("B").cast("Q")])
        if self._values is not None:
            if self.count <= EXACT:
                self._values.extend(new)
            else:
                self._values = None

    def merge(self, other: Self) -> None:
        """Add all that another distribution has."""
        if other._values is not None:
            self.extend(other._values)
            return
        self._values = None
        self._buckets.update(other._buckets)
        self.count += other.count
        self.sum += other.sum
        self.squares += other.squares
        self.least, self.greatest = min(self.least, other.least), max(self.greatest, other.greatest)

    def quantile(self, percent: float) -> float:
        """The ``percent`` quantile (Hyndman and Fan's type 7); 0 of nothing."""
        return next(self.quantiles((percent,)))

    def quantiles(self, percents: Sequence[float]) -> Iterator[float]:
        """Several quantiles at once, of ascending percents."""
        if not self.count:
            yield from (0.0 for _ in percents)
        elif self._values is not None:
            ordered = sorted(self._values)
            yield from (quantile(ordered, percent) for percent in percents)
        else:
            yield from self._approximate(percents)

    def _approximate(self, percents: Sequence[float]) -> Iterator[float]:
        buckets = iter(sorted(self._buckets.items()))
        bucket, below = next(buckets)
        for percent in percents:
            place = (self.count - 1) * percent / 100
            while place >= below and below < self.count:
                bucket, more = next(buckets)
                below += more
            yield min(self.greatest, max(self.least, _middle(bucket)))


def _middle(bucket: int) -> float:
    return float(struct.unpack("d", struct.pack("Q", (bucket << SHIFT) + (1 << (SHIFT - 1))))[0])


def quantile(ordered: Sequence[float], percent: float) -> float:
    """The ``percent`` quantile of sorted values, interpolated linearly (Hyndman and Fan's type 7)."""
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
