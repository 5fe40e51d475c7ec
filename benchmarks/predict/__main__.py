"""Predictions put to the test: ``python -m benchmarks.predict --out docs/benchmarks/predict.md``."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from statistics import fmean

from benchmarks.predict.agreement import measured, overhead, simulated
from benchmarks.predict.cases import CASES
from benchmarks.predict.figures import compared, draw_agreement, draw_closed_form
from benchmarks.predict.speed import FEW, MANY, profile, speeds

METRICS = tuple(f"{name}_{which}" for name in ("ttft", "itl", "e2e") for which in ("p50", "p95"))
LIMITS = {"p50": 0.05, "p95": 0.10}


def main() -> None:
    """Measure, and write the tables and the plots."""
    parser = argparse.ArgumentParser(prog="benchmarks.predict", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--images", type=Path, help="directory for the plots")
    parser.add_argument("--requests", type=int, default=100_000, help="of the speed test")
    parser.add_argument("--only", choices=("agreement", "closed", "speed"))
    given = parser.parse_args()
    lines = ["# Predictions", ""]
    if given.only in (None, "agreement"):
        lines += _agreement(given.images)
    if given.only in (None, "closed"):
        lines += _closed_form(given.images)
    if given.only in (None, "speed"):
        lines += _speed(given.requests)
    text = "\n".join([*lines, "Written by `make bench-predict`."]) + "\n"
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


def _agreement(images: Path | None) -> list[str]:
    lines = [
        "## The simulator and the simulated engine over HTTP",
        "",
        "The same requests, arrivals and engine settings, measured by the builtin harness on the `simulated` server /",
        "computed by the simulator, in ms. The engine plays a machine 16 (a full cache: 2) times slower, so that this",
        "machine's own delays weigh less; requests and arrivals are the same ones, so few are enough.",
        "*client* is the load generator's verdict on itself; *outside* what a request that is alone takes outside of",
        "the engine's steps (network, reading the prompt), which the simulator is told.",
        "",
        f"| load | client | outside | {' | '.join(METRICS)} | preemptions |",
        f"|---|---|---:|{'---|' * len(METRICS)}---:|",
    ]
    rows, worst = [], {"p50": 0.0, "p95": 0.0}
    for case in CASES:
        outside = overhead(case)
        report, tally = measured(case), simulated(case, outside)
        found = tally.metrics()
        cells = []
        for name in METRICS:
            true, said = report.metrics[name], found[name]
            rows.append((name, true * 1000, said * 1000))
            worst[name[-3:]] = max(worst[name[-3:]], abs(said / true - 1))
            cells.append(f"{true * 1000:.4g} / {said * 1000:.4g} ({100 * (said / true - 1):+.1f} %)")
        facts = f"{case.title} | {report.client.verdict} | {outside * 1000:.1f}"
        lines.append(f"| {facts} | {' | '.join(cells)} | {tally.preemptions} |")
        print(lines[-1], flush=True)
    if images is not None:
        draw_agreement(rows, images / "predict-agreement.svg")
    said = ", ".join(f"{100 * worst[which]:.1f} % at {which} (goal: {100 * LIMITS[which]:.0f} %)" for which in LIMITS)
    return [*lines, "", f"Greatest difference: {said}.", ""]


def _closed_form(images: Path | None) -> list[str]:
    found = compared()
    lines = [
        "## The closed form and the simulator",
        "",
        "512 + 128 tokens, at most 64 at once, Poisson arrivals; means in ms, closed form / simulated.",
        "",
        "| share of the greatest rate | TTFT | ITL | E2E |",
        "|---:|---:|---:|---:|",
    ]
    for share, steady, metrics in found:
        cells = [f"{1000 * getattr(steady, n):.4g} / {1000 * metrics[f'{n}_mean']:.4g}" for n in ("ttft", "itl", "e2e")]
        lines.append(f"| {100 * share:.0f} % | {' | '.join(cells)} |")
    calm = [(getattr(s, n) / m[f"{n}_mean"] - 1) for share, s, m in found if share <= 0.8 for n in ("itl", "e2e")]
    if images is not None:
        draw_closed_form(found, images / "predict-closed-form.svg")
    mean = 100 * fmean(map(abs, calm))
    return [*lines, "", f"Up to 80 %, ITL and E2E differ by {mean:.1f} % on average.", ""]


def _speed(requests: int) -> list[str]:
    lines = [
        "## Speed",
        "",
        "Requests of 128 + 128 tokens simulated per second of one core, at most 64 at once; best of three runs of",
        f"{requests:,} requests on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
        f"*Memory* is by how much the peak of a process that simulates {MANY:,} requests exceeds that of one that",
        f"simulates {FEW:,}.",
        "",
        "| load | requests/s | memory, MiB |",
        "|---|---:|---:|",
    ]
    for found in speeds(requests):
        lines.append(f"| {found.title} | {found.rate:,.0f} | {found.grown:.1f} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "Where the time goes (Poisson arrivals, by cProfile, which adds its own):",
        "",
        "| function | share |",
    ]
    lines += ["|---|---:|", *(f"| `{name}` | {100 * share:.0f} % |" for name, share in profile(requests // 4)), ""]
    return lines


if __name__ == "__main__":
    main()
