"""How much a sample can tell: confidence intervals, and how many requests a percentile needs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

CONFIDENCE = 0.95
Z = 1.959963984540054
"""Standard normal quantile at 1 - (1 - CONFIDENCE) / 2."""

_REACH = 10  # standard deviations of a binomial beyond which its tail is nothing
_PERCENTILE = re.compile(r"\w+_p(\d+)")


def needed_requests(percent: float) -> int:
    """The fewest requests from which a percentile has a confidence interval: 72 for p95, 368 for p99.

    With fewer, even the largest (or smallest) of them need not lie beyond the percentile.
    """
    share = max(percent, 100 - percent) / 100
    return math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(share))


def asked_percentile(metric: str) -> int | None:
    """The percentile in a metric's name, as 95 in ``ttft_p95``."""
    found = _PERCENTILE.fullmatch(metric)
    return int(found[1]) if found else None


def too_few(metrics: Iterable[str], requests: int) -> tuple[str, ...]:
    """For each percentile among ``metrics`` that ``requests`` cannot tell: a sentence that says how many can."""
    found = []
    for name in dict.fromkeys(metrics):
        percent = asked_percentile(name)
        if percent is not None and requests < needed_requests(percent):
            found.append(f"{name} of {requests} requests is a guess: it needs at least {needed_requests(percent)}")
    return tuple(found)


def percentile_ranks(count: int, percent: float) -> tuple[int, int] | None:
    """Ranks (from 1) of the order statistics between which a percentile lies; None where the sample is too small.

    Exact and free of any distribution: the number of values below the percentile is binomial. Each tail has at
    most half of 1 - CONFIDENCE.
    """
    share = percent / 100
    if not 0 < share < 1 or count < 1:
        return None
    tail = (1 - CONFIDENCE) / 2
    reach = _REACH * math.sqrt(count * share * (1 - share)) + _REACH
    lowest, highest = max(0, int(count * share - reach)), min(count, math.ceil(count * share + reach))
    low, below = lowest, 0.0  # the largest rank with P(B <= rank - 1) <= tail
    while (below := below + _binomial(low, count, share)) <= tail:
        low += 1
    high, above = highest, 0.0  # the smallest rank with P(B >= rank) <= tail
    while (above := above + _binomial(high, count, share)) <= tail:
        high -= 1
    high += 1
    return (low, high) if low >= 1 and high <= count else None


def mean_interval(mean: float, deviation: float, independent: int) -> tuple[float, float]:
    """The interval of a mean by the normal approximation, from ``independent`` values' worth of knowledge."""
    half = Z * deviation / math.sqrt(independent)
    return mean - half, mean + half


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's interval of a share."""
    share, z2 = hits / count, Z * Z / count
    middle = (share + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(share * (1 - share) / count + z2 / (4 * count)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _binomial(hits: int, count: int, share: float) -> float:
    """P(B = hits), by logarithms."""
    log_ways = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    return math.exp(log_ways + hits * math.log(share) + (count - hits) * math.log1p(-share))
