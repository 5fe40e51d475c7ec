"""The plots of docs/prediction.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.predict.speed import BY_CONTEXT
from servelab.batching.scheduler import Limits
from servelab.perf.models import Lengths
from servelab.perf.queue import Queue, Steady
from servelab.perf.simulator import Engine, Simulator, roomy
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96)
REQUESTS = 6000
BATCH = 64
LENGTHS = Lengths(512, 128)


def compared() -> list[tuple[float, Steady, dict[str, float]]]:
    """For each share of the greatest rate: the closed form, and what the simulator says."""
    workload = Workload.model_validate({"prompt": {"mean": 512, "stdev": 128}, "output": {"mean": 128, "stdev": 32}})
    queue = Queue(BY_CONTEXT, LENGTHS, BATCH)
    engine = Engine(Limits(BATCH, 8192, 16, roomy(workload, BATCH, 16)), BY_CONTEXT)
    found = []
    for share in SHARES:
        steady = queue.at(share * queue.capacity)
        assert steady is not None
        load = LoadPoint(kind="poisson", level=steady.rate, requests=REQUESTS)
        found.append((share, steady, Simulator(engine, workload, load, warmup=REQUESTS // 10).run().metrics()))
    return found


def draw_closed_form(found: Sequence[tuple[float, Steady, dict[str, float]]], path: Path) -> None:
    """Mean TTFT, ITL and E2E by the rate: closed form as a line, the simulator as points, its p95 as a band's end."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    rates = [steady.rate for _, steady, _ in found]
    for axes, name in zip(figure.subplots(1, 3), ("ttft", "itl", "e2e"), strict=True):
        axes.plot(rates, [1000 * getattr(steady, name) for _, steady, _ in found], label="closed form, mean")
        axes.plot(rates, [1000 * metrics[f"{name}_mean"] for *_, metrics in found], "o", ms=4, label="simulated, mean")
        axes.plot(rates, [1000 * metrics[f"{name}_p95"] for *_, metrics in found], ":", label="simulated, p95")
        axes.set_title(name.upper())
        axes.set_xlabel("requests/s")
        axes.set_ylabel("ms")
        axes.spines[["top", "right"]].set_visible(False)
        if name == "ttft":
            axes.set_yscale("log")
    figure.axes[0].legend(frameon=False, fontsize="small")
    _save(figure, path)


def draw_agreement(rows: Sequence[tuple[str, float, float]], path: Path) -> None:
    """Measured over HTTP against simulated, all cases and percentiles; latencies in ms."""
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.add_subplot()
    every = np.array([value for _, *both in rows for value in both])
    ends = (every.min() * 0.8, every.max() * 1.25)
    axes.plot(ends, ends, color="0.7", lw=1)
    for name, marker in (("ttft", "o"), ("itl", "s"), ("e2e", "^")):
        chosen = [(measured, simulated) for metric, measured, simulated in rows if metric.startswith(name)]
        axes.plot(*zip(*chosen, strict=True), marker, ms=5, label=name.upper())
    axes.set(xscale="log", yscale="log", xlabel="measured over HTTP, ms", ylabel="simulated, ms")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    import matplotlib as mpl

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})
