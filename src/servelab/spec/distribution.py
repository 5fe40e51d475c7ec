"""A distribution of latencies in bounded memory.

Up to ``EXACT`` values all of them are kept, and quantiles are exact. Beyond, values are counted in buckets whose
width is 1/4096 of a power of two: a quantile is then off by at most 0.013 % (of 20 ms: 2.5 us). Count, sums, least and
greatest stay exact whatever the number. Two distributions merge into just the one that all values would have made.
"""

from __future__ import annotations

import math
import struct
from array import array
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Annotated, Any, Self

from pydantic import PlainSerializer, PlainValidator

EXACT = 1 << 17  # values, 1 MiB
BATCH = 256  # values that are counted at once, in 50 us: one by one would cost five times as much
SHIFT = 40  # of a float's 64 bits, those that a bucket does not tell: sign, 11 of exponent and 12 of mantissa stay

_FLOAT, _BITS = struct.Struct("d"), struct.Struct("Q")


class Distribution:
    """Values of at least zero (seconds), added as they come."""

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._new: list[float] = list(values)
        self._count = 0
        self._sum = 0.0
        self._squares = 0.0
        self._least = float("inf")
        self._greatest = 0.0
        self._values: array[float] | None = array("d")
        self._buckets: Counter[int] = Counter()

    def __len__(self) -> int:
        return self._count + len(self._new)

    @property
    def exact(self) -> bool:
        """Whether quantiles are exact."""
        return self._values is not None and len(self) <= EXACT

    @property
    def mean(self) -> float:
        """The mean; 0 of nothing."""
        self._count_new()
        return self._sum / self._count if self._count else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of a sample; 0 of fewer than two values."""
        self._count_new()
        if self._count < 2:
            return 0.0
        return math.sqrt(max(0.0, self._squares - self._sum * self.mean) / (self._count - 1))

    def append(self, value: float) -> None:
        """Add a value."""
        self._new.append(value)
        if len(self._new) >= BATCH:
            self._count_new()

    def extend(self, values: Iterable[float]) -> None:
        """Add values."""
        self._new.extend(values)
        if len(self._new) >= BATCH:
            self._count_new()

    def repeat(self, value: float, times: int) -> None:
        """Add a value ``times`` times."""
        if times < BATCH and self.exact:
            self.extend([value] * times)
            return
        self._count_new()
        self._values = None
        self._count += times
        self._sum += value * times
        self._squares += value * value * times
        self._least, self._greatest = min(self._least, value), max(self._greatest, value)
        self._buckets[_BITS.unpack(_FLOAT.pack(value))[0] >> SHIFT] += times

    def merge(self, other: Self) -> None:
        """Add all that another distribution has."""
        if other.exact:
            other._count_new()
            self.extend(other._values or ())
            return
        self._count_new()
        other._count_new()
        self._values = None
        self._buckets.update(other._buckets)
        self._count += other._count
        self._sum += other._sum
        self._squares += other._squares
        self._least, self._greatest = min(self._least, other._least), max(self._greatest, other._greatest)

    def state(self) -> dict[str, Any]:
        """All that is kept, as JSON can hold it."""
        self._count_new()
        if self._values is not None:
            return {"values": b64encode(self._values.tobytes()).decode()}
        sums = (self._count, self._sum, self._squares, self._least, self._greatest)
        return {"sums": sums, "buckets": list(self._buckets.items())}

    @classmethod
    def of(cls, state: Any) -> Distribution:
        """The distribution of a ``state``."""
        if isinstance(state, Distribution):
            return state
        made = cls()
        if "values" in state:
            made.extend(array("d", b64decode(state["values"])))
            return made
        made._count, made._sum, made._squares, made._least, made._greatest = state["sums"]
        made._buckets.update(dict(state["buckets"]))
        made._values = None
        return made

    def _count_new(self) -> None:
        if not self._new:
            return
        new = array("d", self._new)
        self._new.clear()
        self._count += len(new)
        self._sum += sum(new)
        self._squares += sum([value * value for value in new])
        self._least = min(self._least, *new)
        self._greatest = max(self._greatest, *new)
        # Buckets are filled from the first value on: to fill them all at once would take 20 ms in mid-stream.
        self._buckets.update([bits >> SHIFT for bits in memoryview(new).cast("B").cast("Q")])
        if self._values is not None:
            if self._count <= EXACT:
                self._values.extend(new)
            else:
                self._values = None

    def quantile(self, percent: float) -> float:
        """The ``percent`` quantile (Hyndman and Fan's type 7); 0 of nothing."""
        return next(self.quantiles((percent,)))

    def quantiles(self, percents: Sequence[float]) -> Iterator[float]:
        """Several quantiles at once."""
        self._count_new()
        if not self._count:
            yield from (0.0 for _ in percents)
        elif self._values is not None:
            ordered = sorted(self._values)
            yield from (quantile(ordered, percent) for percent in percents)
        else:
            yield from self._approximate(percents)

    def _approximate(self, percents: Sequence[float]) -> Iterator[float]:
        ordered = sorted(self._buckets.items())
        below = list(accumulate(count for _, count in ordered))

        def value(rank: int) -> float:
            bucket, _ = ordered[bisect_right(below, rank)]
            return min(self._greatest, max(self._least, _middle(bucket)))

        for percent in percents:
            place = (self._count - 1) * percent / 100
            low, high = value(math.floor(place)), value(math.ceil(place))
            yield low + (high - low) * (place % 1)


Latencies = Annotated[Distribution, PlainValidator(Distribution.of), PlainSerializer(Distribution.state)]
"""A distribution as a field of what one process tells another."""


def _middle(bucket: int) -> float:
    return float(struct.unpack("d", struct.pack("Q", (bucket << SHIFT) + (1 << (SHIFT - 1))))[0])


def quantile(ordered: Sequence[float], percent: float) -> float:
    """The ``percent`` quantile of sorted values, interpolated linearly (Hyndman and Fan's type 7)."""
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
