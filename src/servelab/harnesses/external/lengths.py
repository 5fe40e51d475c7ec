"""Parts of a workload and a load that several harnesses express in the same way."""

from __future__ import annotations

from servelab.spec.workload import LoadPoint, Tokens

CLOSED = ("concurrency", "throughput")


def fixed(tokens: Tokens) -> int | None:
    """The one length of a distribution without spread, in tokens; None where there is a spread."""
    if tokens.stdev == 0 or tokens.min == tokens.upper:
        return max(tokens.min, min(tokens.upper, round(tokens.mean)))
    return None


def warmup(load: LoadPoint) -> int:
    """Warm-up requests: at least one per stream in a closed loop, if there are any."""
    if not load.warmup or load.kind not in CLOSED:
        return load.warmup
    return max(load.warmup, int(load.level))


def whole_numbers(tokens: Tokens, what: str) -> tuple[str, ...]:
    """A warning where a harness that takes whole tokens only has to round."""
    if fixed(tokens) is not None or (tokens.mean == int(tokens.mean) and tokens.stdev == int(tokens.stdev)):
        return ()
    return (f"{what} lengths were rounded to mean {round(tokens.mean)} and deviation {max(1, round(tokens.stdev))}",)
