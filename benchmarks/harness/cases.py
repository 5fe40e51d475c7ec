"""The cases, and what one harness makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.harness.one import BARE
from servelab.harnesses.builtin.known import Schedule
from servelab.harnesses.builtin.selftest import Case, ServerProcess, Truth, biases, slope
from servelab.spec.plugins import plugin_names

PEERS = ("guidellm", "genai_bench", "inference_perf", "vllm_bench", "aiperf")
STREAMS = (1, 16, 64, 256)
PER_CHUNK = (1, 4, 16)
TOKENS = 128
SCHEDULE = {"ttft": 0.05, "itl": 0.02}
SHORT = Case(Schedule(), streams=64, requests=20_000, tokens=8)
FAST = tuple(
    Case(Schedule(ttft=0.02, itl=0.005), streams=streams, requests=5 * streams, tokens=TOKENS)
    for streams in (25, 50, 100, 150, 200, 250, 300, 400)
)
ALLOWED = 0.01  # bias of TPOT, as a share
LIMIT = 300.0  # seconds for a case


@dataclass(frozen=True)
class Found:
    """One harness in one case: its bias in seconds, the server's own deviation from its schedule, and its costs."""

    case: Case
    reported: dict[str, float]
    truth: Truth
    bias: dict[str, float]
    first_request: float
    """Seconds from the call of the harness to the first generation asked for."""
    cpu: float
    memory: float

    def worst(self) -> float:
        """How far off TTFT and TPOT were at 99 %, in seconds of an answer."""
        return abs(self.bias["ttft_p99"]) + abs(self.bias["tpot_p99"]) * self.case.tokens

    @property
    def kept_up(self) -> bool:
        """Whether tokens came at half the rate asked for, at least."""
        return self.truth.token_rate > 0.5 * self.case.streams / self.case.schedule.itl

    @property
    def tpot_error(self) -> float:
        """The larger bias of TPOT of its median and its 99 % quantile, as a share of the truth."""
        return max(abs(self.bias[name]) / self.truth.metrics[name] for name in ("tpot_p50", "tpot_p99"))


@dataclass
class Row:
    """All of one harness; ``note`` says why there is nothing."""

    name: str
    note: str = ""
    matrix: list[Found] = field(default_factory=list)
    short: Found | None = None
    fast: list[Found] = field(default_factory=list)

    @property
    def beta(self) -> float:
        """Seconds of ITL that a request in flight seems to cost, beyond what the server really took."""
        single = [found for found in self.matrix if found.case.schedule.per == 1]
        return slope({found.case.streams: found.bias["itl_mean"] for found in single})

    @property
    def token_rate(self) -> float:
        """The highest rate in tokens/s at which the bias of TPOT is allowed."""
        return max((f.truth.token_rate for f in self.fast if f.tpot_error < ALLOWED), default=0.0)


def matrix(quick: bool) -> Iterator[Case]:
    """Streams by tokens per chunk."""
    for per in PER_CHUNK[: 1 if quick else None]:
        for streams in STREAMS:
            yield Case(Schedule(**SCHEDULE, per=per), streams, max(4, 2 * streams), TOKENS)


def rows(quick: bool, repeats: int, only: Sequence[str] | None = None) -> list[Row]:
    """Every harness there is, and those that are not; case by case, so that all meet the same disturbances.

    ``only`` names those that are to be measured, where it is not all.
    """
    known = [name for name in plugin_names("servelab.harnesses") if name != "nop"]
    names = [BARE, "builtin", *sorted({*known, *PEERS} - {"builtin"})]
    if only is not None:
        names = [name for name in names if name in (BARE, *only)]
    found = [Row(name, "" if name in (BARE, *known) else "not installed") for name in names]
    for case in matrix(quick):
        for row in found:
            row.matrix += _tried(row, case, repeats)
    for row in found:
        row.short = next(iter(_tried(row, SHORT, repeats)), None)
    for case in FAST:
        for row in found:
            if not row.fast or row.fast[-1].kept_up:  # else more streams do not help
                row.fast += _tried(row, case, repeats)
    return found


def _tried(row: Row, case: Case, repeats: int) -> list[Found]:
    """The least disturbed of some repeats: other work on the machine only ever adds. Nothing where it fails."""
    if row.note:
        return []
    try:
        found = [_measure(row.name, case) for _ in range(repeats)]
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        row.note = f"failed at {case.streams} streams: {said[-1] if said else f'over {LIMIT:.0f} s'}"
        return []
    print(f"{row.name} at {case.streams} streams", file=sys.stderr, flush=True)
    return [max(found, key=lambda one: one.truth.request_rate) if case is SHORT else min(found, key=Found.worst)]


def _measure(name: str, case: Case) -> Found:
    cores = sorted(os.sched_getaffinity(0))
    with ServerProcess(cores[-1]) as server:
        command = [sys.executable, "-m", "benchmarks.harness.one", name, server.url, json.dumps(asdict(case))]
        pinned = ["taskset", "-c", str(cores[0]), *command]
        done = subprocess.run(pinned, check=True, capture_output=True, timeout=LIMIT)
        truth = server.truth(case)
    told = json.loads(done.stdout)
    return Found(
        case=case,
        reported=told["metrics"],
        truth=truth,
        bias=biases(told["metrics"], truth),
        first_request=truth.first_contact - told["began"],
        cpu=told["cpu"],
        memory=told["memory"],
    )
