"""Parts of a workload and a load that several harnesses express in the same way."""

from __future__ import annotations

from servelab.spec.load import LoadPoint
from servelab.spec.workload import Tokens

CLOSED = ("concurrency", "throughput")


def fixed(tokens: Tokens) -> int | None:
    """The one length of a distribution without spread, in tokens; None where there is a spread."""
    if tokens.min == tokens.upper or (tokens.stdev == 0 and tokens.distribution != "uniform"):
        return max(tokens.min, min(tokens.upper, round(tokens.mean)))
    return None


def warmup(load: LoadPoint) -> int:
    """Warm-up requests: at least one per stream in a closed loop, if there are any.

    As fast as possible, there are no more streams than requests.
    """
    if not load.warmup or load.kind not in CLOSED:
        return load.warmup
    streams = int(load.level)
    return max(load.warmup, min(streams, load.requests or streams) if load.kind == "throughput" else streams)


def whole_numbers(tokens: Tokens, what: str) -> tuple[str, ...]:
    """A warning where a harness that takes whole tokens only has to round."""
    whole = tokens.mean == int(tokens.mean) and tokens.stdev == int(tokens.stdev)
    if whole or fixed(tokens) is not None or tokens.distribution == "uniform":
        return ()
    return (f"{what} lengths were rounded to mean {round(tokens.mean)} and deviation {max(1, round(tokens.stdev))}",)


def unbounded(harness: str, *several: Tokens) -> tuple[str, ...]:
    """A warning where a harness takes no bounds and they matter: where they cut off what two deviations reach."""
    for tokens in several:
        spread = 2 * tokens.stdev
        if fixed(tokens) is None and not (tokens.min <= tokens.mean - spread and tokens.mean + spread <= tokens.upper):
            return (f"{harness} could not be told to keep lengths within {tokens.min} and {tokens.upper} tokens",)
    return ()
