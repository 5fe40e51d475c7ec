"""The tables, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness.cases import FAST_STREAMS, PEER_FAST_STREAMS, PEER_SHORT, SHORT, Found, Row
from benchmarks.harness.one import BUILTIN
from servelab.harnesses.builtin.selftest import PERCENTS

TITLE = """# Harnesses

What each harness reports, less what the server really sent (recorded by itself as it sent), at a server whose schedule
is known. Client and server have one core each; all rows are of one run, case by case. Other work on the machine is in
them, so the least disturbed of some repeats counts; what the bare socket is still off by, no client can help. TTFT is
50 ms, a token takes 20 ms, 128 tokens an answer; all streams begin at once and so stay in step, which is the hardest
case. Written by `make bench-harness`.

The others are those that are installed (`servelab harness install`), driven and converted as in any study; metrics are
by the formulas of [How it measures](../measuring.md), from the times that each records. They take 10 to 20 s to begin
and end, so several tokens per chunk are tried at 16 streams only. genai-bench talks to the chat API, the others to
completions."""
BELOW = f"""
Short replies: 8 tokens at once, 64 in flight, {SHORT.requests:,} of them ({PEER_SHORT:,} for the others). CPU, with
that of beginning and ending, and memory, of the largest process, are of that case. Tokens: TPOT bias at the median and
at 99 %, of 5 ms; tried from {FAST_STREAMS[0]} streams on ({PEER_FAST_STREAMS[0]} for the others), 0 if too far off
with these. Slope: beta of the mean ITL's bias = alpha + beta x streams; the truth is 0. Installed: the environment
on the disk; of builtin, all of servelab with what it requires."""
COLUMNS = (
    "harness",
    "short replies/s",
    "tokens/s with TPOT bias < 1 %",
    "spurious slope, us per request",
    "CPU s per 1,000 requests",
    "peak memory, MB",
    "start to first request, s",
    "installed, MB",
)


def lines(rows: list[Row], memory: dict[str, float] | None) -> Iterator[str]:
    """All tables; ``memory`` is of the long run."""
    yield TITLE
    yield ""
    yield "## What it costs and how far it goes"
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|---|{'---:|' * (len(COLUMNS) - 1)}"
    for row in rows:
        yield f"| {' | '.join(_costs(row))} |"
    yield BELOW
    if memory is not None:
        yield ""
        yield (
            f"A long run: {memory['requests']:,} simulated requests recorded by builtin took at most "
            f"{memory['most'] / 1e6:.0f} MB, {memory['before'] / 1e6:.0f} MB of it before the first."
        )
    failures = [f"- {row.title}: {failure}" for row in rows for failure in row.failures]
    if failures:
        yield ""
        yield "What is missing failed:"
        yield ""
        yield from failures
    yield ""
    yield "## Bias in milliseconds, at p50 / p95 / p99"
    yield ""
    yield "| tokens per chunk | streams | harness | TTFT | ITL | TPOT | E2E | server late, TTFT p99 |"
    yield "|---:|---:|---|---:|---:|---:|---:|---:|"
    cases = [found.case for row in rows for found in row.matrix]
    for case in sorted(dict.fromkeys(cases), key=lambda one: (one.schedule.per, one.streams)):
        for row in rows:
            for found in row.matrix:
                if found.case == case:
                    yield _biases(row, found)
    if any(row.peer and row.matrix for row in rows):
        yield ""
        yield "Where another one is closer to the truth than builtin, in milliseconds:"
        yield ""
        yield from list(_closer(rows)) or ["- nowhere"]


def _closer(rows: list[Row]) -> Iterator[str]:
    """Where another harness is closer to the truth than builtin, of the same case."""
    own = {found.case: found for row in rows if row.name == BUILTIN for found in row.matrix}
    for row in rows:
        for found in row.matrix if row.peer else ():
            mine = own[found.case].bias if found.case in own else {}
            for name, bias in found.bias.items():
                if name.endswith("_mean") or abs(mine.get(name, 0.0)) <= abs(bias):
                    continue
                metric, _, percent = name.partition("_")
                at = f"{found.case.streams} streams, {found.case.schedule.per} a chunk"
                yield f"- {metric.upper()} {percent}, {at}: {mine[name] * 1000:+.3f}, {row.name} {bias * 1000:+.3f}"


def _costs(row: Row) -> list[str]:
    """A cell for each of COLUMNS; ``-`` where it failed."""
    if row.absent:
        return [row.name, row.absent, *[""] * (len(COLUMNS) - 2)]
    short = row.short
    return [
        row.title,
        "-" if short is None else f"{short.truth.request_rate:,.0f}",
        f"{row.token_rate:,.0f}" if row.fast else "-",
        "-" if row.beta is None else f"{row.beta * 1e6:+.2f}",
        "-" if short is None else f"{1000 * short.cpu / short.case.requests:.2f}",
        "-" if short is None else f"{short.memory / 1e6:.0f}",
        f"{row.matrix[0].first_request:.2f}" if row.matrix else "-",
        "" if row.size is None else f"{row.size / 1e6:,.0f}",
    ]


def _biases(row: Row, found: Found) -> str:
    late = found.truth.metrics["ttft_p99"] - found.case.schedule.ttft
    cells = " | ".join(
        _three(found, name, digits) for name, digits in (("ttft", 2), ("itl", 3), ("tpot", 3), ("e2e", 2))
    )
    per = found.case.schedule.per
    return f"| {per} | {found.case.streams} | {row.name} | {cells} | {late * 1000:+.2f} |"


def _three(found: Found, name: str, digits: int) -> str:
    values = [found.bias.get(f"{name}_p{percent}") for percent in PERCENTS]
    return " / ".join("-" if value is None else f"{value * 1000:+.{digits}f}" for value in values)
