"""What a harness's raw output says, in one form for all of them, and the Report of it."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from servelab import __version__
from servelab.harnesses.benchmark_report import benchmark_report, stack, validated
from servelab.harnesses.builtin.record import Record
from servelab.harnesses.builtin.summary import MIN_LAG, Tally, client_health
from servelab.spec.distribution import Distribution
from servelab.spec.goal import RequestSLO
from servelab.spec.load import LoadPoint
from servelab.spec.report import ClientHealth, Provenance, Report
from servelab.spec.workload import Workload

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Request:
    """One request as a harness recorded it; times in seconds on any clock."""

    sent: float
    end: float
    first: float | None = None
    last: float | None = None
    intended: float | None = None
    """When it was due, in open loop, where the harness tells."""
    prompt_tokens: int = 0
    output_tokens: int = 0
    gaps: tuple[float, ...] = ()
    """Between chunks, in seconds; empty where the harness keeps only their mean."""
    chunks: int | None = None
    """Chunks that carried text; None where the harness does not count them, so that each is taken to be a token."""
    error: str | None = None


@dataclass(frozen=True)
class Measured:
    """The raw output of one measurement.

    ``requests`` are its counted requests, warm-up left out. Where the harness writes no records, they are empty, and
    ``metrics`` (names of spec/metrics.py, SI units), ``count``, ``duration`` in seconds and ``errors`` are its own.
    """

    harness: str
    load: LoadPoint
    model: str = UNKNOWN
    version: str = UNKNOWN
    requests: tuple[Request, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    count: int = 0
    duration: float = 0.0
    errors: Mapping[str, int] = field(default_factory=dict)
    workload: Workload | None = None
    max_concurrency: int | None = None
    """Requests in flight that it was allowed in open loop; None where that is not known."""
    started: float | None = None
    """Seconds since the epoch."""
    warnings: tuple[str, ...] = ()
    clock: bool = True
    """Whether the times of ``requests`` are of one clock; else each was sent at 0, and rates are over ``duration``."""
    standard: Mapping[str, Any] = field(default_factory=dict)
    """Benchmark Report v0.2 as ``llmd-benchmark-report`` converts it; empty where that cannot."""


def imported(measured: Measured) -> Report:
    """The Report of a file that some other program produced: only what the file says."""
    when = datetime.now(UTC) if measured.started is None else datetime.fromtimestamp(measured.started, UTC)
    provenance = Provenance(
        servelab=__version__,
        harness=measured.harness,
        harness_version=measured.version,
        engine=UNKNOWN,
        model=measured.model,
        seed=measured.workload.seed if measured.workload else 0,
        started_at=when.isoformat(timespec="seconds"),
    )
    return report(measured, provenance, RequestSLO())


def report(measured: Measured, provenance: Provenance, slo: RequestSLO) -> Report:
    """The Report of a measurement; from its records where there are any, else from the harness's own summary."""
    found = _from_records(measured, slo) if measured.requests else _from_summary(measured)
    made = Report(load=measured.load, provenance=provenance, **found)
    if measured.standard:
        return made.model_copy(update={"standard": _extended(measured.standard, made)})
    return made.model_copy(update={"standard": benchmark_report(made, measured.workload)})


def _from_records(measured: Measured, slo: RequestSLO) -> dict[str, Any]:
    tally = Tally(slo)
    start = min(request.sent for request in measured.requests)
    for request in measured.requests:
        one = _record(request, start)
        per_chunk = max(1.0, one.output_tokens / max(1, one.chunks))
        tally.add(one, [gap / per_chunk for gap in request.gaps], request.gaps)
    if not measured.clock:
        tally.last_end = measured.duration
    told = any(request.intended is not None for request in measured.requests)
    ours = {n: v for n, v in tally.metrics().items() if told or not n.startswith("schedule_delay")}
    metrics = {**ours, **measured.metrics}
    if "itl_mean" not in metrics:
        metrics |= _mean_interval(measured.requests)
    return {
        "metrics": metrics,
        "intervals": {n: pair for n, pair in tally.intervals().items() if n in ours and n not in measured.metrics},
        "requests": tally.requests,
        "duration": tally.last_end,
        "errors": tally.errors,
        "quantiles": tally.quantiles(),
        "client": _health(measured, tally),
        "warnings": (*measured.warnings, *tally.warnings()),
    }


def _from_summary(measured: Measured) -> dict[str, Any]:
    return {
        "metrics": dict(measured.metrics),
        "requests": measured.count,
        "duration": measured.duration,
        "errors": dict(measured.errors),
        "client": _unknown(measured.harness),
        "warnings": measured.warnings,
    }


def _record(request: Request, start: float) -> Record:
    return Record(
        intended=(request.sent if request.intended is None else request.intended) - start,
        sent=request.sent - start,
        end=request.end - start,
        error=request.error,
        first=None if request.first is None else request.first - start,
        last=None if request.last is None else request.last - start,
        prompt_tokens=request.prompt_tokens,
        output_tokens=request.output_tokens,
        chunks=request.output_tokens if request.chunks is None else request.chunks,
        reasoning_chunks=0,
    )


def _mean_interval(requests: Iterable[Request]) -> dict[str, float]:
    """The mean over all token intervals, which needs no more than each request's first and last token."""
    whole = [r for r in requests if r.error is None and r.first is not None and r.last is not None]
    intervals = sum(_intervals(r) for r in whole)
    seconds = sum(r.last - r.first for r in whole if r.last is not None and r.first is not None)
    return {"itl_mean": seconds / intervals} if intervals else {}


def _intervals(request: Request) -> float:
    """Tokens after the first chunk, of which as many are taken to be in each chunk."""
    chunks = request.output_tokens if request.chunks is None else request.chunks
    return max(request.output_tokens * (1 - 1 / chunks), chunks - 1) if chunks else 0.0


def _health(measured: Measured, tally: Tally) -> ClientHealth:
    """``saturated`` where it sent too late; never ``ok``, since no other harness watches its own lateness in full."""
    seen = client_health(tally, Distribution(), 0.0, _waited(measured))
    return seen.model_copy(update={"cpu": None, "loop_lag_p99": None}) if seen.reasons else _unknown(measured.harness)


def _waited(measured: Measured) -> int:
    """Requests that were sent late, and while as many were in flight as may be."""
    if measured.max_concurrency is None:
        return 0
    waited = flying = 0
    ends = deque(sorted(request.end for request in measured.requests))
    for request in sorted(measured.requests, key=lambda request: request.sent):
        while ends and ends[0] <= request.sent:
            ends.popleft()
            flying -= 1
        flying += 1
        late = request.intended is not None and request.sent - request.intended > MIN_LAG
        waited += late and flying >= measured.max_concurrency
    return waited


def _unknown(harness: str) -> ClientHealth:
    return ClientHealth(reasons=(f"{harness} does not measure how much it delays answers itself",))


def _extended(standard: Mapping[str, Any], made: Report) -> dict[str, Any]:
    """The converted report, with what the converter cannot know, and with our figures where its schema has room."""
    data = copy.deepcopy(dict(standard))
    load = data.setdefault("scenario", {}).setdefault("load", {}).get("standardized", {})
    load["tool_version"] = load.get("tool_version") or made.provenance.harness_version
    if load.get("concurrency"):
        load.pop("rate_qps", None)  # of requests queued, not sent
    elif made.load.kind == "concurrency":
        load["concurrency"] = int(made.load.level)
    if made.provenance.engine != UNKNOWN:
        data["scenario"]["stack"] = [stack(made)]
    health = made.client.model_dump()
    extras = {"metrics": made.metrics, "warnings": list(made.warnings), "errors": made.errors, "client_health": health}
    results = data.setdefault("results", {})
    results["observability"] = {**(results.get("observability") or {}), "servelab": extras}
    return validated(data)
