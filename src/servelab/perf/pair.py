"""Coefficients of a pair of measurements: one request at a time, and many."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from servelab import __version__
from servelab.perf.models import LinearPrefill
from servelab.perf.parameters import FittedWorkload, Origin, Parameters, TwoPoint, of_two_points
from servelab.perf.two_point import ReportError, concurrency, crowd, doubts, flat, latency, two_points
from servelab.spec.errors import DocumentError

BATCH_SIZE = 64.0
"""Default of the estimation pipeline."""


@dataclass(frozen=True)
class Pair:
    """Mean latencies in ms of one request at a time and of ``batch_size``; TTFT where it is known."""

    itl_synchronous: float
    itl_throughput: float
    batch_size: float = BATCH_SIZE
    ttft_synchronous: float | None = None
    ttft_throughput: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    in_flight: float | None = None
    "Requests that were really under way in the throughput benchmark."
    model: str | None = None
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def estimate_pair(pair: Pair) -> Parameters:
    """The two-point formula, of ITL and, where it is given, of TTFT.

    Raises:
        DocumentError: the points define no line that a server can have.
    """
    prefill, warnings = None, list(pair.warnings)
    try:
        alpha, beta = two_points(pair.itl_synchronous, pair.itl_throughput, pair.batch_size)
    except ReportError as error:
        alone = not pair.batch_size > 1
        raise DocumentError((str(error),), "Give it: --batch-size 64" if alone else _REMEDY) from None
    try:
        prefill = _prefill(pair)
    except ReportError as error:
        if not pair.files:
            raise DocumentError((str(error),), _REMEDY) from None
        warnings.append(f"linear-prefill is left out: {error}")
    found = TwoPoint(
        itl_synchronous=pair.itl_synchronous,
        itl_throughput=pair.itl_throughput,
        batch_size=pair.batch_size,
        alpha=alpha,
        beta=beta,
    )
    origin = Origin(
        method="two-point",
        servelab=__version__,
        files=pair.files,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    workload = FittedWorkload(prompt_tokens=pair.input_tokens, output_tokens=pair.output_tokens, model=pair.model)
    return of_two_points(found, origin, prefill, workload, (*warnings, *flat(beta)), pair.in_flight)


def read_pair(synchronous: Path, throughput: Path, batch_size: float = BATCH_SIZE) -> Pair:
    """The pair of two guidellm reports, as the estimation pipeline's two benchmarks leave them.

    Raises:
        DocumentError: a file cannot be read, or holds no latency.
    """
    alone, loaded = _report(synchronous), _report(throughput)
    try:
        itl = latency(alone, str(synchronous)), latency(loaded, str(throughput))
    except ReportError as error:
        raise DocumentError((str(error),), _REMEDY) from None
    ttft = _first_token(alone), _first_token(loaded)
    warnings = [*doubts(alone, str(synchronous)), *doubts(loaded, str(throughput))]
    warnings += crowd(loaded, str(throughput), batch_size)
    return Pair(
        *itl,
        batch_size=batch_size,
        ttft_synchronous=ttft[0],
        ttft_throughput=ttft[1],
        input_tokens=_mean(loaded, "prompt_token_count"),
        output_tokens=_mean(loaded, "output_token_count"),
        in_flight=concurrency(loaded),
        files=(str(synchronous), str(throughput)),
        warnings=tuple(warnings),
    )


_REMEDY = "Measure again, longer, with nothing else on the server; servelab estimate --url measures several levels."


def _prefill(pair: Pair) -> LinearPrefill | None:
    """``TTFT = gamma + delta * tokens * batch`` through the two points, in seconds.

    Raises:
        ReportError: only a part of what it needs is given, or it makes no sense.
    """
    given = (pair.ttft_synchronous, pair.ttft_throughput, pair.input_tokens)
    alone, loaded, tokens = given
    if alone is None or loaded is None or tokens is None:
        if not any(given):
            return None
        raise ReportError("the prefill needs all of: TTFT of one request, TTFT of many, and the prompt's tokens")
    if not all(math.isfinite(value) and value > 0 for value in (alone, loaded, tokens)):
        raise ReportError(f"TTFT and prompt tokens have to be above 0, not {alone:g} ms, {loaded:g} ms and {tokens:g}")
    delta = (loaded - alone) / (tokens * (pair.batch_size - 1))
    gamma = alone - delta * tokens
    if delta < 0 or gamma < 0:
        raise ReportError(
            f"gamma = {gamma:.4f} ms and delta = {delta:.6f} ms may not be negative: the TTFT of "
            f"{pair.batch_size:g} requests at a time ({loaded:g} ms) does not fit that of one ({alone:g} ms)"
        )
    return LinearPrefill(gamma / 1000, delta / 1000)


def _report(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentError((f"cannot read {path}: {error.strerror or error}",)) from error
    except ValueError:
        raise DocumentError((f"{path} is not JSON",)) from None


def _first_token(report: Any) -> float | None:
    try:
        return latency(report, "", "time_to_first_token_ms")
    except ReportError:
        return None


def _mean(report: Any, metric: str) -> float | None:
    try:
        return float(report["benchmarks"][0]["metrics"][metric]["successful"]["mean"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
