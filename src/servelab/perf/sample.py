"""What one measurement says to a performance model: the batch that it achieved, and its latencies."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from servelab.spec.report import Report

DISAGREE = 0.25
"""Share by which the server's number of running requests has to differ from the client's to be believed instead."""

LONG = 10.0
"""Seconds of measurement from which the server, looked at once a second, is believed rather than the client."""

MAX_ERRORS = 0.05  # share of failed requests beyond which the survivors' latencies are not the service's


@dataclass(frozen=True)
class Steps:
    """What a request of a measurement waited for, on average."""

    joined: float
    "Prompt tokens of others that were computed between two tokens of a request."
    until_first: float
    "Steps until the first token: the one that ran when the request came, if any, and the one of its prompt."
    prompts: float
    "Prompt tokens computed in those steps, its own included."
    decoding: float
    "Tokens of others that were decoded in those steps."


@dataclass(frozen=True)
class Sample:
    """One measurement; times in seconds."""

    concurrency: float
    "As asked for."
    batch: float
    "Requests that the engine ran at once, as its tokens met them."
    itl: float
    ttft: float
    "Mean time to first token, without the time in the server's queue."
    prompt: float
    output: float
    queue: float = 0.0
    "Mean time in the server's queue."
    steps: Steps | None = None
    "What the engine's steps held; None without records."
    source: str = "client"
    "Where the batch comes from: server or client."
    flaw: str = ""
    "Why it takes no part in a fit; empty where it does."


def samples(reports: Iterable[tuple[Report, Path | None]]) -> list[Sample]:
    """A sample of each report at a concurrency that has latencies; others say nothing of a batch.

    With each report, the directory that its records are in, where they are at hand.
    """
    found = (_sample(report, at) for report, at in reports if report.load.kind in ("concurrency", "throughput"))
    return [one for one in found if one is not None]


def usable(found: Iterable[Sample]) -> list[Sample]:
    """Those that a fit may use."""
    return [one for one in found if not one.flaw]


def _sample(report: Report, directory: Path | None) -> Sample | None:
    metrics = report.metrics
    itl, ttft = metrics.get("itl_mean"), metrics.get("ttft_mean")
    if itl is None or ttft is None or itl <= 0:
        return None
    records = _records(report, directory)
    asked = metrics.get("concurrency", report.load.level)
    met = _met(records, asked) if records else asked
    running, waiting = report.server.get("running"), report.server.get("waiting", 0.0)
    # The client's own timeline is finer than looks at the server; but of a queue, or of others' requests, only the
    # server knows.
    told = running is not None and report.duration >= LONG and abs(running - asked) > max(1.0, DISAGREE * asked)
    batch = running if told and running else met
    rate = metrics.get("request_throughput", 0.0)
    queue = min(ttft, waiting / rate) if told and rate else 0.0
    prompt, output = _lengths(report, records)
    return Sample(
        concurrency=report.load.level,
        batch=batch,
        itl=itl,
        ttft=ttft - queue,
        prompt=prompt,
        output=output,
        queue=queue,
        steps=held_steps(records, itl, asked) if records else None,
        source="server" if told else "client",
        flaw=_flaw(report),
    )


def _flaw(report: Report) -> str:
    if report.client_bound:
        return f"the load generator was too slow ({', '.join(report.client.reasons)})"
    failed = sum(report.errors.values())
    if failed > MAX_ERRORS * report.requests:
        return f"{failed} of {report.requests} requests failed"
    return ""


def _records(report: Report, directory: Path | None) -> list[dict[str, Any]]:
    """The requests that succeeded; empty where no records were kept, or they are elsewhere."""
    if report.records is None or directory is None:
        return []
    try:
        with gzip.open(directory / report.records, "rt", encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines]
    except (OSError, EOFError, ValueError):
        return []
    return [one for one in found if one["error"] is None and one["first"] is not None]


def _met(records: list[dict[str, Any]], in_flight: float) -> float:
    """Requests in flight, averaged over the time that requests spent between their first and last token.

    While streams are kept busy that is ``in_flight``; at the end, when they run dry, it is what the records say.
    """
    import numpy as np

    sent, first, last = (np.array([one[name] for one in records], float) for name in ("sent", "first", "last"))
    busy_until = sent.max()
    times = np.concatenate([[min(0.0, sent.min()), busy_until], np.sort(last[last > busy_until])])
    level = np.concatenate([[in_flight], np.arange(len(times) - 2, -1, -1)])  # one less at each end
    area = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(times))])
    decoding = float(np.sum(last - first))
    if decoding <= 0:
        return in_flight
    return float(np.sum(np.interp(last, times, area) - np.interp(first, times, area)) / decoding)


def held_steps(records: list[dict[str, Any]], itl: float, in_flight: float) -> Steps:
    """What the steps held that a request waited for.

    Every sequence gets a token in each step. So a first token within half an ITL of another one is of the same step,
    and one that comes while another request decodes has lengthened one of its intervals. A stream sends when its last
    answer has ended, which is when a step has: the one that runs by then is waited for from its beginning.
    """
    import numpy as np

    sent, first, last = (np.array([one[name] for one in records], float) for name in ("sent", "first", "last"))
    prompt, output = (np.array([one[name] for one in records], float) for name in ("prompt_tokens", "output_tokens"))
    order, half = np.argsort(first), itl / 2
    starts, summed = first[order], np.concatenate([[0.0], np.cumsum(prompt[order])])
    beginnings = starts[np.diff(starts, prepend=-np.inf) > half]  # one for each step that had prompts

    def until(when: Any) -> Any:
        return summed[np.searchsorted(starts, when, "right")]

    def decoding(when: Any) -> Any:
        """Of the requests in flight, those that do not wait for their first token."""
        since, came = (np.searchsorted(np.sort(times), when, "right") for times in (sent, first))
        gone = np.searchsorted(np.sort(last[last > sent.max()]), when, "right")
        return np.maximum(0.0, in_flight - (since - came) - gone)

    intervals = float(np.sum(output - 1))
    own = first - half  # within the step of the first token
    running = decoding(sent)
    between = np.searchsorted(beginnings, own, "right") - np.searchsorted(beginnings, sent, "right")
    waited = np.maximum(running > 0, between)
    return Steps(
        joined=float(np.sum(until(last + half) - until(first + half))) / intervals if intervals > 0 else 0.0,
        until_first=float(np.mean(1 + waited)),
        prompts=float(np.mean(until(first + half) - until(sent))),
        decoding=float(np.mean(decoding(own) + np.where(running > 0, running, 0.0))),
    )


def _lengths(report: Report, records: list[dict[str, Any]]) -> tuple[float, float]:
    """Mean tokens of prompts and outputs."""
    if records:
        return fmean(one["prompt_tokens"] for one in records), fmean(one["output_tokens"] for one in records)
    metrics = report.metrics
    rate, output = metrics.get("request_throughput", 0.0), metrics.get("output_throughput", 0.0)
    total = metrics.get("total_throughput", output)
    return ((total - output) / rate, output / rate) if rate else (0.0, 0.0)
