"""Harnesses that are really installed and run, and the engine whose own counts are the truth about them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from servelab.harnesses.base import Job
from servelab.harnesses.external.interpreters import interpreters
from servelab.harnesses.external.recipes import RECIPES, recipe
from servelab.spec.deployment import Deployment
from servelab.spec.load import LoadPoint
from servelab.spec.study import Study
from servelab.spec.workload import Workload

CHEAPEST = ("inference-perf", "aiperf", "genai-bench", "guidellm")
"""By what it takes to install them: 0.8 to 1.5 GB, two to five minutes."""
FEW = 2
PROMPT, OUTPUT, REQUESTS, WARMUP = 50, 20, 60, 4


@lru_cache
def chosen() -> tuple[str, ...]:
    """Those to run: SERVELAB_HARNESSES (names, or ``all``), else the cheapest two that there is a Python for."""
    asked = os.environ.get("SERVELAB_HARNESSES")
    if asked:
        return tuple(RECIPES) if asked == "all" else tuple(asked.split(","))
    return tuple(name for name in CHEAPEST if next(interpreters(recipe(name).pythons), None))[:FEW]


def why_not(name: str) -> str:
    """Why a harness is not among them."""
    wanted = recipe(name).pythons
    if not os.environ.get("SERVELAB_HARNESSES") and wanted and not next(interpreters(wanted), None):
        return f"{name} runs on Python {' or '.join(wanted)}, and none is on this machine"
    return f"only {', '.join(chosen()) or 'no harness'} is run here: SERVELAB_HARNESSES={name}, or all, is not set"


@contextlib.contextmanager
def engine(port: int) -> Iterator[str]:
    """The simulated engine at the pace of the machine it plays; its URL."""
    command = [sys.executable, "-m", "servelab.engines.simulated", "m", "--port", str(port)]
    process = subprocess.Popen([*command, "--startup-seconds", "0"], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 200
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/health", timeout=2).close()
            break
        time.sleep(0.05)
    try:
        yield url
    finally:
        process.kill()
        process.wait()


def truth(url: str) -> dict[str, float]:
    """What the engine counted."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    found = (line.rsplit(" ", 1) for line in lines if "_bucket" not in line)
    return {name.partition("{")[0].removeprefix("vllm:"): float(value) for name, value in found}


def mean(seen: dict[str, float], name: str) -> float:
    """The mean of one of its histograms, in seconds."""
    return seen[f"{name}_seconds_sum"] / seen[f"{name}_seconds_count"]


def job(name: str, directory: Path, url: str, tokenizer: str | None, load: LoadPoint, **more: object) -> Job:
    """A measurement on one core, of prompts and answers of one length."""
    directory.mkdir(exist_ok=True)
    workload = Workload.model_validate({"prompt": PROMPT, "output": OUTPUT, "api": _api(name), **more})
    deployment = Deployment(url=url, model="m", engine="simulated", simulated=True)
    seed = int.from_bytes(os.urandom(4))
    return Job(deployment, workload, load, seed, directory, tokenizer=tokenizer, cpus=(min(os.sched_getaffinity(0)),))


def study(name: str, tokenizer: str) -> Study:
    """A study whose measurement ``job`` would be."""
    workload = {"prompt": PROMPT, "output": OUTPUT, "api": _api(name)}
    parts = {"model": {"id": "m", "tokenizer": tokenizer}, "engine": {"name": "simulated"}, "workload": workload}
    return Study.model_validate({"name": "real", **parts, "load": {"concurrency": 4, "requests": REQUESTS}})


def _api(name: str) -> str:
    return "chat" if name == "genai-bench" else "completions"


def closed(**more: object) -> LoadPoint:
    """Four streams."""
    plain = {"kind": "concurrency", "level": 4, "requests": REQUESTS, "warmup": WARMUP}
    return LoadPoint.model_validate({**plain, **more})
