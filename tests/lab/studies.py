"""Small studies on the embedded engine, and a way to run servelab as people do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from servelab.catalog.study import load_study
from servelab.spec.study import Study
from servelab.store.store import Store

SERVELAB = (sys.executable, "-m", "servelab")

SMALL = """
name: small
model: smollm2-135m
engine: {name: llamacpp, arguments: {ctx_size: 2048}}
workload: {prompt: 8, output: 4}
load: {concurrency: 2, requests: 10, warmup: 1}
space:
  parameters:
    parallel: [1, 2, 4]
    batch_size: [64, 512, 2048]
    flash_attn: ["on", "off"]
objectives: [maximize output_throughput]
constraints: [ttft_p95 <= 20s]
sampler: {name: random, seed: 7}
budget: {trials: 12, screening: 0, verification: {top: 0}}
"""


def small(**changes: str) -> Study:
    """The small study with lines replaced."""
    return load_study(text(**changes))


def text(**changes: str) -> str:
    """The small study's document with some of its top-level lines replaced; an empty text leaves one out."""
    lines, keep = [], True
    for line in SMALL.strip().splitlines():
        if not line.startswith(" "):
            name = line.partition(":")[0]
            keep = name not in changes
            if not keep and changes[name]:
                lines.append(f"{name}: {changes[name]}")
        if keep:
            lines.append(line)
    known = {line.partition(":")[0] for line in SMALL.strip().splitlines()}
    lines += [f"{name}: {value}" for name, value in changes.items() if name not in known]
    return "\n".join(lines) + "\n"


def servelab(*arguments: str, timeout: float = 600, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    done = subprocess.run([*SERVELAB, *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    assert not check or done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Start the command line in the background."""
    with log.open("ab") as sink:
        return subprocess.Popen([*SERVELAB, *arguments], stdout=sink, stderr=sink)


def let_run(store: Store, study_id: str, seconds: float) -> None:
    """Wait so long, or until one more trial of the study is final."""
    before = _finals(store, study_id)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and _finals(store, study_id) == before:
        time.sleep(0.02)


def _finals(store: Store, study_id: str) -> int:
    return sum(trial.final for trial in store.trials(study_id))
