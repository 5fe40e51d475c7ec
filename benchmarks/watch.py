"""Watching runs with many tasks: ``python -m benchmarks.watch --out docs/benchmarks/watch.md``.

``servelab tekton status RUN -f`` in a terminal of its own, against a real API server in which TaskRuns change as
Tekton's controller changes them. What is measured is what the terminal gets.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from fcntl import ioctl
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import NAMESPACE, Manifest
from servelab.tekton.kinds import PIPELINE_RUN, TASK_RUN
from tests.kubernetes import Assets, Scripted, definitions, kubernetes

SIZES = (20, 200, 2000)
SECONDS = 20.0
CHANGES = 50  # TaskRuns that change in a second
PROBES = 10
AT_ONCE = 16  # requests in flight while the run is set up

FRAME = "last updated"  # once in every picture of the live view


class Terminal:
    """The command in a terminal; what it shows is read as it comes."""

    def __init__(self, kubeconfig: Path, namespace: str, run: str) -> None:
        self.shown = ""
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 140, 0, 0))
        command = [sys.executable, "-m", "servelab", "tekton", "status", run, "-f", "-n", namespace]
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "TERM": "xterm-256color"}
        environment = {name: value for name, value in environment.items() if name not in ("LINES", "COLUMNS")}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)

    def read(self, seconds: float) -> None:
        """Take what comes in this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self._master], [], [], left)[0]:
                self.shown += os.read(self._master, 2**16).decode(errors="replace")

    def until(self, text: str, seconds: float = 120.0) -> float:
        """Seconds until a text is shown that was not shown before."""
        begun, place = time.monotonic(), len(self.shown)
        while re.search(text, self.shown[place:]) is None:
            if time.monotonic() - begun > seconds:
                raise SystemExit(f"{text!r} was not shown in {seconds} s: {self.shown[-2000:]}")
            self.read(0.005)
        return time.monotonic() - begun

    def press(self, key: str) -> None:
        """Type a key."""
        os.write(self._master, key.encode())

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """The most that it held, MB."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        os.close(self._master)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    lines = [
        "# Watching a Tekton run",
        "",
        "`servelab tekton status RUN -f` in a terminal of 140 columns and 50 lines, against a real API server on the",
        f"same machine. For {SECONDS:g} s, {CHANGES} TaskRuns a second change as Tekton changes them (or as many as",
        "the server takes). Pictures: how often the whole screen was drawn anew; it aims at four a second. Seen after:",
        f"from its being stored to its being on the screen, median and worst of {PROBES}. Key after: from",
        "pressing `p` to its answer. Processor time is the client's, in per cent of one core. Written by",
        "`make bench-watch`; the machine's noise, and the API server's own work beside it, are in it.",
        "",
        "| TaskRuns | changes/s | first picture, s | pictures/s | seen after, ms | worst | key after, ms | CPU, % "
        "| memory, MB |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    try:
        definitions("tekton")
        with kubernetes() as api:
            for size in SIZES:
                lines.append(asyncio.run(row(api, size)))
                print(lines[-1], flush=True)
    except pytest.skip.Exception as error:
        raise SystemExit(f"not measured: {error}") from None
    if out:
        out.write_text("\n".join(lines) + "\n")


async def row(api: Scripted | Assets, size: int) -> str:
    """A line of the table."""
    namespace = f"bench-{size}"
    async with connect(kubeconfig=api.kubeconfig(), namespace=namespace) as cluster:
        await cluster.create(NAMESPACE, {"metadata": {"name": namespace}})
        names = await set_up(cluster, size)
        terminal = Terminal(api.kubeconfig(), namespace, "run")
        try:
            first = await asyncio.to_thread(terminal.until, f"{size} Running")
            seen = [await probe(cluster, terminal, name) for name in names[:PROBES]]
            key = await asyncio.to_thread(pressed, terminal)
            changed, pictures, cpu = await under_load(cluster, terminal, names[PROBES:])
            memory = terminal.memory()
        finally:
            terminal.close()
    return (
        f"| {size:,} | {changed / SECONDS:.0f} | {first:.1f} | {pictures / SECONDS:.1f} | {median(seen) * 1e3:.0f} | "
        f"{max(seen) * 1e3:.0f} | {key * 1e3:.0f} | {100 * cpu / SECONDS:.0f} | {memory:.0f} |"
    )


async def set_up(cluster: Cluster, size: int) -> list[str]:
    """A run with so many tasks that all run; the names of its TaskRuns."""
    tasks = [{"name": f"run-workload-{number}", "taskRef": {"name": "load"}} for number in range(size)]
    await cluster.create(PIPELINE_RUN, {"metadata": {"name": "run"}, "spec": {"pipelineRef": {"name": "run"}}})
    condition = {"type": "Succeeded", "status": "Unknown", "reason": "Running"}
    children = [
        {
            "apiVersion": "tekton.dev/v1",
            "kind": "TaskRun",
            "name": f"run-{task['name']}",
            "pipelineTaskName": task["name"],
        }
        for task in tasks
    ]
    status = {"startTime": now(), "pipelineSpec": {"tasks": tasks}, "childReferences": children}
    await set_status(cluster, PIPELINE_RUN, "run", {**status, "conditions": [condition]})
    names = [str(child["name"]) for child in children]

    async def start(name: str) -> None:
        task = name.removeprefix("run-")
        labels = {"tekton.dev/pipelineRun": "run", "tekton.dev/pipelineTask": task}
        spec = {"taskRef": {"name": "load"}, "params": [{"name": "label", "value": name}]}
        await cluster.create(TASK_RUN, {"metadata": {"name": name, "labels": labels}, "spec": spec})
        await set_status(cluster, TASK_RUN, name, {"startTime": now(), "podName": "", "conditions": [condition]})

    await each(names, start)
    return names


async def probe(cluster: Cluster, terminal: Terminal, name: str) -> float:
    """End a task; seconds until the screen counts one more."""
    counted = re.findall(r"(\d+) Succeeded", terminal.shown)
    expected = (int(counted[-1]) if counted else 0) + 1
    ended = {"type": "Succeeded", "status": "True", "reason": "Succeeded"}
    await set_status(cluster, TASK_RUN, name, {"completionTime": now(), "conditions": [ended]})
    return await asyncio.to_thread(terminal.until, f"\\b{expected} Succeeded")


def pressed(terminal: Terminal) -> float:
    """Seconds until a key is answered."""
    terminal.press("p")
    return terminal.until("no engine runs")


async def under_load(cluster: Cluster, terminal: Terminal, names: list[str]) -> tuple[int, int, float]:
    """Changes that were made, pictures that were drawn, and processor seconds, while many TaskRuns change."""
    changed = 0
    begun, cpu, place = time.monotonic(), terminal.cpu(), len(terminal.shown)
    reading = asyncio.create_task(asyncio.to_thread(terminal.read, SECONDS))

    async def change(number: int) -> None:
        nonlocal changed
        running = {"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": f"Step {number} runs"}
        await set_status(cluster, TASK_RUN, names[number % len(names)], {"conditions": [running]})
        changed += 1

    number = 0
    while (elapsed := time.monotonic() - begun) < SECONDS:
        due = min(int(elapsed * CHANGES) - number, AT_ONCE)
        await asyncio.gather(*(change(number + one) for one in range(due)))
        number += max(0, due)
        await asyncio.sleep(0.02)
    await reading
    return changed, terminal.shown[place:].count(FRAME), terminal.cpu() - cpu


async def set_status(cluster: Cluster, kind: Any, name: str, status: Manifest) -> None:
    """As a controller does."""
    await cluster.merge(kind, name, {"status": status}, subresource="status")


async def each(names: list[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Do it for all, some at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with room:
            await work(name)

    await asyncio.gather(*map(one, names))


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    main()
