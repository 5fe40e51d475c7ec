"""How fast plain words are read: ``python -m benchmarks.ask --out docs/benchmarks/ask.md``.

Every request of the tests' corpus is read by the grammar in a process that is running already; ``servelab ask --help``
is a process of its own, beside a Python that does nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

from servelab.request.understand import understand

CORPUS = Path(__file__).parents[1] / "tests" / "request" / "corpus.yaml"
REPEATS = 5  # of the corpus; the best of each request is kept, so that other work on the machine stays out
STARTS = 15
PYTHON = (sys.executable, "-c", "pass")
HELP = (sys.executable, "-m", "servelab", "ask", "--help")
HEAD = """\
# Reading plain words

The {count} requests of the tests' corpus, read by the grammar in a process that is running already: the best of
{repeats} times for each request, and, in brackets, all times, with what else the machine did. The commands: median of
{starts} starts in turn, and the fastest. All by the clock, in milliseconds. Written by `make bench-ask`. The aims are
20 ms for a request, and 300 ms for the help.

"""


def parses() -> tuple[int, list[float], list[float]]:
    """The number of requests, the best milliseconds of each, and all."""
    texts = [one["ask"] for one in YAML(typ="safe").load(CORPUS)]
    understand(texts[0])  # reads the catalog
    rounds = [[_timed(text) for text in texts] for _ in range(REPEATS)]
    return len(texts), [min(times) for times in zip(*rounds, strict=True)], [t for times in rounds for t in times]


def starts() -> dict[str, list[float]]:
    """Milliseconds of each start, the two commands in turn."""
    found: dict[str, list[float]] = {"python -c pass": [], "servelab ask --help": []}
    for _ in range(STARTS):
        for name, command in zip(found, (PYTHON, HELP), strict=True):
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            found[name].append((time.perf_counter() - began) * 1e3)
    return found


def _timed(text: str) -> float:
    began = time.perf_counter()
    understand(text)
    return (time.perf_counter() - began) * 1e3


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    count, best, every = parses()
    lines = ["| requests | median, ms | p95, ms | most, ms |", "|---|---:|---:|---:|"]
    pairs = [(statistics.median(v), _percentile(v, 95), max(v)) for v in (best, every)]
    lines.append(f"| {count} | " + " | ".join(f"{a:.1f} ({b:.1f})" for a, b in zip(*pairs, strict=True)) + " |")
    lines += ["", "| command | median, ms | fastest, ms |", "|---|---:|---:|"]
    lines += [f"| `{name}` | {statistics.median(t):.0f} | {min(t):.0f} |" for name, t in starts().items()]
    text = HEAD.format(count=count, repeats=REPEATS, starts=STARTS) + "\n".join(lines) + "\n"
    print(text)
    if out is not None:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
