"""Samplers side by side: ``python -m benchmarks.search --out docs/benchmarks/search.md``."""

from __future__ import annotations

import os

# Small matrices: more threads than one only get in each other's way, and in that of the second process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.search.protocol import OWN, Entry, Task, run
from benchmarks.search.simulated import GROUNDS
from benchmarks.search.table import table
from benchmarks.search.variants import DENSE, VARIANTS

ENTRIES = [
    Entry("auto"),
    Entry("auto", "poor"),
    Entry("auto", "good"),
    Entry("tpe"),
    Entry("nsga2"),
    Entry("random"),
    Entry("grid"),
]
PROFILED = [Entry("auto"), Entry("auto", OWN), Entry("random")]
PROFILED_TRIALS = 10
SHARED = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared"))
PROCESSES = 2


def main() -> int:
    """Run the comparison and write its table."""
    arguments = _arguments()
    if not (arguments.surface_dir / "surface.py").is_file():
        print(
            f"no response surface at {arguments.surface_dir}; give --surface-dir, or set SERVELAB_SHARED to the "
            "directory that holds data/surfaces",
            file=sys.stderr,
        )
        return 2
    text = _compare(arguments.surface_dir, arguments.surfaces, arguments.seeds, arguments.trials)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text, encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.search", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--surface-dir", type=Path, default=SHARED / "data" / "surfaces")
    parser.add_argument(
        "--surfaces", nargs="+", default=[DENSE, *VARIANTS, *GROUNDS], choices=[DENSE, *VARIANTS, *GROUNDS]
    )
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _compare(directory: Path, surfaces: list[str], seeds: int, trials: int) -> str:
    begun = time.monotonic()
    parts = ["# Search: samplers side by side", "", INTRODUCTION.format(seeds=seeds, trials=trials), ""]
    with ProcessPoolExecutor(PROCESSES) as pool:
        for name in surfaces:
            entries, length = (PROFILED, PROFILED_TRIALS) if name in GROUNDS else (ENTRIES, trials)
            tasks = [Task(directory, name, entry, seed, length) for entry in entries for seed in range(seeds)]
            parts += [f"## {name}", "", table(entries, list(pool.map(run, tasks))), ""]
    parts.append(f"Made by `make bench-search` in {(time.monotonic() - begun) / 60:.0f} minutes.")
    return "\n".join(parts) + "\n"


INTRODUCTION = """\
Median regret [quartiles] of the configuration that `servelab.search.pick.recommend` picks, on the noise-free truth,
over {seeds} seeds; every sampler tries the default first. No pick that was measured to keep the SLO, or a pick that
truly breaks it by over 5 %, counts 1. *Crashes*: mean number (and share) of the {trials} trials that did not run, of
these those whose cause had been met before. *ms*: CPU time of one suggestion after 50 trials. The grid has three values
of each number. The first surface is the given one; the next three are variants of it (`variants.py`) to which nothing
was fitted. The last four are the simulated engine's profiles (`simulated.py`), six parameters and ten trials each; the
*own* prior is the one that servelab makes of data sheets and corrects by what was measured. The profiles were derived
from data sheets too, if by other shares of them, which flatters it."""


if __name__ == "__main__":
    sys.exit(main())
