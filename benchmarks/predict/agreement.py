"""The same load on the simulated engine, over HTTP by the builtin harness, and in the simulator."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from servelab.batching.scheduler import Limits
from servelab.batching.steptime import LinearStepTime
from servelab.engines.simulated.memory import kv_blocks
from servelab.engines.simulated.options import Settings, read_settings
from servelab.engines.simulated.pace import Execution, step_time
from servelab.harnesses.base import Job, harness
from servelab.perf.simulator import Engine, Simulator
from servelab.perf.tally import Tally
from servelab.spec.deployment import Deployment
from servelab.spec.load import LoadPoint
from servelab.spec.report import Report
from servelab.spec.workload import Tokens, Workload

STARTED = 60.0  # seconds
SEED = 1
ALONE = 16  # requests that tell what one takes outside of steps


@dataclass(frozen=True)
class Case:
    """A load on a configuration of the simulated engine."""

    title: str
    workload: Workload
    load: LoadPoint
    arguments: tuple[str, ...] = ()
    profile: str = "h100-llama-3.1-8b"
    scale: float = 1.0
    """Of all times: above 1 the engine is slower, so that the machine's own delays weigh less."""

    @property
    def command(self) -> tuple[str, ...]:
        """What the engine is told."""
        scale = ("--time-scale", str(self.scale)) if self.scale != 1 else ()
        return ("m", "--profile", self.profile, "--startup-seconds", "0", *scale, *self.arguments)


def measured(case: Case) -> Report:
    """What the builtin harness measures on the real server."""
    with _served(case) as url, tempfile.TemporaryDirectory() as directory:
        deployment = Deployment(url=url, model="m", engine="simulated", simulated=True)
        job = Job(deployment, case.workload, case.load, seed=SEED, directory=Path(directory))
        return asyncio.run(harness("builtin", {}).measure(job, lambda _: None))


def simulated(case: Case, overhead: float = 0.0) -> Tally:
    """What the simulator says of the same; ``overhead`` are a request's seconds outside of the engine's steps."""
    return Simulator(engine(read_settings([*case.command]), overhead), case.workload, case.load, SEED).run()


def overhead(case: Case) -> float:
    """A request's seconds outside of steps: what the first token of a few that are alone takes longer than simulated.

    Sending, reading, hashing a prompt's blocks and writing take time on this machine, however slow the engine is.
    """
    alone = LoadPoint(kind="concurrency", level=1, requests=ALONE)
    short = case.workload.model_copy(update={"output": Tokens(mean=2)})
    few = replace(case, workload=short, load=alone)
    return max(0.0, measured(few).metrics["ttft_mean"] - simulated(few).metrics()["ttft_mean"])


def engine(settings: Settings, overhead: float) -> Engine:
    """The simulated engine's settings as the simulator's engine."""
    plan = settings.memory
    exact = step_time(settings.profile, Execution(plan.devices, plan.kv_bytes, plan.eager))
    scale = settings.time_scale
    coefficients = (exact.base_s, exact.prefill_s, exact.decode_s, exact.context_s)
    limits = Limits(
        plan.max_num_seqs,
        plan.max_num_batched_tokens,
        plan.block_size,
        kv_blocks(settings.profile, plan),
        settings.prefix_caching,
        settings.chunked_prefill,
    )
    return Engine(limits, LinearStepTime(*(scale * one for one in coefficients)), overhead)


@contextmanager
def _served(case: Case) -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "servelab.engines.simulated", *case.command, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[Any], url: str) -> None:
    end = time.monotonic() + STARTED
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the simulated engine does not start")
