"""What the server did while the load was whole, and from when on it was steady.

A measurement begins among the last answers of the warm-up and ends with streams that have nothing left to send.
Throughput over all of it would count the work of either end wrongly, the more so the fewer the requests; so it is
counted from the first counted request to the sending of the last, over whatever arrived in that time.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from statistics import fmean, variance

from servelab.harnesses.builtin.stream import Answer

BATCH = 5  # requests whose mean is one value, at first (MSER-5)
MOST_BATCHES = 512  # beyond, neighbours are merged: the memory stays the same whatever the length
FEWEST_BATCHES = 8
RISE = 1.25  # of the last quarter over the middle half: a queue that grows, not one that breathes
CLEAR = 3.0  # standard errors


@dataclass
class Window:
    """Tokens and answers that arrived in the ``seconds`` while the load was whole, of warm-up requests too."""

    seconds: float = 0.0
    output_tokens: float = 0.0
    prompt_tokens: int = 0
    answers: int = 0

    def add(self, answer: Answer, end: float, start: float, busy_until: float) -> None:
        """Count what arrived between ``start`` (0 while warming up) and ``busy_until``."""
        if not start or answer.error is not None or not answer.chunks:
            return
        per_chunk = (answer.output_tokens or len(answer.chunks)) / len(answer.chunks)
        self.output_tokens += per_chunk * (bisect_right(answer.chunks, busy_until) - bisect_left(answer.chunks, start))
        if start <= end <= busy_until:
            self.answers += 1
            self.prompt_tokens += answer.prompt_tokens or 0


@dataclass
class Settling:
    """Finds from when on TTFT no longer drifts, by MSER-5, and whether it was still rising at the end.

    The change point is where the standard error of the mean of what follows is least (White's marginal standard
    error rule, on means of five requests in the order of their ends); where that is not in the first half, there
    is no steady state.
    """

    size: int = BATCH
    means: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    """In seconds since the start."""
    sum: float = 0.0
    count: int = 0

    def add(self, ttft: float, end: float) -> None:
        """Take in a request: its TTFT, and its end in seconds since the start."""
        self.sum += ttft
        self.count += 1
        if self.count < self.size:
            return
        self.means.append(self.sum / self.count)
        self.ends.append(end)
        self.sum, self.count = 0.0, 0
        if len(self.means) == MOST_BATCHES:
            self._halve()

    def merge(self, other: Settling) -> None:
        """Add the batches of another process, by their ends; the requests of a last batch that is not full are lost."""
        while self.size != other.size:
            (self if self.size < other.size else other)._halve()
        both = sorted(zip((*self.ends, *other.ends), (*self.means, *other.means), strict=True))
        self.ends, self.means = [end for end, _ in both], [mean for _, mean in both]
        while len(self.means) >= MOST_BATCHES:
            self._halve()

    def _halve(self) -> None:
        """Make one batch of each two neighbours."""
        self.means = [(a + b) / 2 for a, b in zip(self.means[::2], self.means[1::2], strict=False)]
        self.ends = self.ends[1::2]
        self.size *= 2

    @property
    def steady_from(self) -> float | None:
        """Seconds since the start; None where there is no steady state, or too little to tell."""
        count = len(self.means)
        if count < FEWEST_BATCHES:
            return None
        best, point = float("inf"), count
        total = squares = 0.0
        for first in range(count - 1, -1, -1):
            total += self.means[first]
            squares += self.means[first] ** 2
            left = count - first
            error = max(0.0, squares - total * total / left) / left**2
            # The last few alone vary little by chance, so they are no candidates.
            if left >= FEWEST_BATCHES // 2 and error <= best:
                best, point = error, first
        if point > count // 2:
            return None
        return self.ends[point - 1] if point else 0.0

    @property
    def rising(self) -> bool:
        """Whether TTFT was still growing, clearly and by a quarter or more, when the measurement ended."""
        quarter = len(self.means) // 4
        if quarter < FEWEST_BATCHES // 2:
            return False
        middle, last = self.means[quarter : 3 * quarter], self.means[-quarter:]
        error = math.sqrt(variance(middle) / len(middle) + variance(last) / len(last))
        return fmean(last) > max(RISE * fmean(middle), fmean(middle) + CLEAR * error)
