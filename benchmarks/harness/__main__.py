"""Harnesses side by side: ``python -m benchmarks.harness --out docs/benchmarks/harness.md``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.harness.cases import rows
from benchmarks.harness.table import lines


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="one token per chunk only")
    parser.add_argument("--repeats", type=int, default=2, help="of each case; the least disturbed one counts")
    parser.add_argument("--only", nargs="+", help="these harnesses beside the bare socket; default: all")
    asked = parser.parse_args()
    found = rows(asked.quick, asked.repeats, asked.only)
    memory = None
    if not asked.quick:
        command = [sys.executable, "-m", "benchmarks.harness.memory"]
        memory = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    text = "\n".join(lines(found, memory)) + "\n"
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
