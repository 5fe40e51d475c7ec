"""The cases, and what one harness makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

from benchmarks.harness.one import BARE, BUILTIN
from benchmarks.harness.size import of_environment, of_package
from servelab.harnesses.builtin.known import Schedule
from servelab.harnesses.builtin.selftest import Case, ServerProcess, Truth, biases, slope
from servelab.harnesses.external.environments import Installed, find
from servelab.harnesses.external.recipes import RECIPES

STREAMS = (1, 16, 64, 256)
PER_CHUNK = (1, 4, 16)
TOKENS = 128
SCHEDULE = {"ttft": 0.05, "itl": 0.02}
SHORT = Case(Schedule(), streams=64, requests=20_000, tokens=8)
FAST_STREAMS = (25, 50, 100, 150, 200, 250, 300, 400)
ALLOWED = 0.01  # bias of TPOT, as a share
LIMIT = 300.0  # seconds for a case

PEER_MULTI = 16  # streams of a peer's cases with several tokens per chunk
PEER_SHORT = 2_000  # requests
PEER_FAST_STREAMS = (5, 12, 25, 50, 100)
PEER_LIMIT = 150.0  # seconds for a case, 10 to 40 of them for nothing but beginning and ending
PEER_FAILURES = 2  # after which it is asked no more


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
        return sum(abs(self.bias.get(f"{name}_p99", 0.0)) * per for name, per in (("ttft", 1), ("tpot", TOKENS)))

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
    """All of one harness; ``absent`` says why there is nothing, ``failures`` where there is something missing."""

    name: str
    peer: Installed | None = None
    absent: str = ""
    size: int | None = None
    """Bytes on the disk."""
    matrix: list[Found] = field(default_factory=list)
    short: Found | None = None
    fast: list[Found] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def out(self) -> bool:
        """Whether it is asked no more."""
        return bool(self.absent) or len(self.failures) >= PEER_FAILURES

    @property
    def beta(self) -> float | None:
        """Seconds of ITL that a request in flight seems to cost, beyond what the server really took.

        None without all levels.
        """
        single = {one.case.streams: one.bias["itl_mean"] for one in self.matrix if one.case.schedule.per == 1}
        return slope(single) if set(single) == set(STREAMS) else None

    @property
    def token_rate(self) -> float:
        """The highest rate in tokens/s at which the bias of TPOT is allowed."""
        return max((f.truth.token_rate for f in self.fast if f.tpot_error < ALLOWED), default=0.0)

    @property
    def title(self) -> str:
        """Its name, and a peer's version."""
        return f"{self.name} {self.peer.version}" if self.peer else self.name


def matrix(quick: bool) -> Iterator[Case]:
    """Streams by tokens per chunk."""
    for per in PER_CHUNK[: 1 if quick else None]:
        for streams in STREAMS:
            yield Case(Schedule(**SCHEDULE, per=per), streams, max(4, 2 * streams), TOKENS)


def fast(streams: int) -> Case:
    """Tokens at four times the pace."""
    return Case(Schedule(ttft=0.02, itl=0.005), streams=streams, requests=5 * streams, tokens=TOKENS)


def rows(quick: bool, repeats: int, only: Sequence[str] | None = None) -> list[Row]:
    """Every harness there is, and those that are not; case by case, so that all meet the same disturbances.

    ``only`` names those that are to be measured, where it is not all.
    """
    peers = [name for name in sorted(RECIPES) if only is None or name in only]
    found = [Row(BARE), Row(BUILTIN, size=of_package("servelab")), *map(_peer, peers)]
    for case in matrix(quick):
        for row in found:
            if row.peer is None or case.schedule.per == 1 or case.streams == PEER_MULTI:
                row.matrix += _tried(row, case, repeats)
    for row in found:
        case = replace(SHORT, requests=PEER_SHORT) if row.peer else SHORT
        row.short = next(iter(_tried(row, case, repeats)), None)
    for streams in sorted({*FAST_STREAMS, *PEER_FAST_STREAMS}):
        for row in found:
            if streams in (PEER_FAST_STREAMS if row.peer else FAST_STREAMS) and _goes_on(row):
                row.fast += _tried(row, fast(streams), repeats)
    return found


def _peer(name: str) -> Row:
    recipe = RECIPES[name]
    installed = find(recipe)
    if installed is not None:
        return Row(name, installed, size=of_environment(installed.program))
    how = f"no {recipe.program} on PATH" if recipe.part_of else f"servelab harness install {name}"
    return Row(name, absent=f"not installed ({how})")


def _goes_on(row: Row) -> bool:
    """Whether more streams may help: not where tokens did not come any more, nor where a peer is wrong already."""
    if not row.fast:
        return True
    return row.fast[-1].tpot_error < ALLOWED if row.peer else row.fast[-1].kept_up


def _tried(row: Row, case: Case, repeats: int) -> list[Found]:
    """The least disturbed of some repeats, as many for all, since other work only adds; nothing where it fails."""
    if row.out:
        return []
    limit = PEER_LIMIT if row.peer else LIMIT
    short = case.tokens == SHORT.tokens
    label = "short replies" if short else f"{case.streams} streams, {case.schedule.per} a chunk"
    try:
        found = [_measure(row.name, case, limit) for _ in range(repeats)]
    except subprocess.TimeoutExpired:
        row.failures.append(f"{label}: not done after {limit:.0f} s")
        return []
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        row.failures.append(f"{label}: {said[-1][:300] if said else error}")
        return []
    print(f"{row.name} at {case.streams} streams", file=sys.stderr, flush=True)
    return [max(found, key=lambda one: one.truth.request_rate) if short else min(found, key=Found.worst)]


def _measure(name: str, case: Case, limit: float) -> Found:
    cores = sorted(os.sched_getaffinity(0))
    with ServerProcess(cores[-1]) as server:
        command = [sys.executable, "-m", "benchmarks.harness.one", name, server.url, json.dumps(asdict(case))]
        pinned = ["taskset", "-c", str(cores[0]), *command]
        done = subprocess.run(pinned, check=True, capture_output=True, timeout=limit)
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
