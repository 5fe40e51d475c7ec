#!/usr/bin/env python3
"""Latency-model parameters of two guidellm benchmarks, by the two-point formula.

Reads NAME.json of both benchmarks, or the report that a path names, from the directory RESULTS; writes
parameters.json there, latencies in milliseconds, and each result to the file that its variable names.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from servelab.perf.two_point import ReportError, crowd, doubts, flat, latency, two_points


def _read(directory: Path, path: str, name: str) -> tuple[Any, str]:
    file = Path(path) if path and Path(path).is_file() else directory / f"{name}.json"
    try:
        return json.loads(file.read_text(encoding="utf-8")), str(file)
    except OSError as error:
        raise ReportError(f"cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise ReportError(f"{file} is not JSON") from None


def main() -> None:
    """Do as the module says."""
    variables = os.environ
    directory = Path(variables["RESULTS"])
    try:
        batch_size = float(variables["BATCH_SIZE"])
        alone, alone_file = _read(directory, variables.get("SYNCHRONOUS_REPORT", ""), variables["SYNCHRONOUS"])
        loaded, loaded_file = _read(directory, variables.get("THROUGHPUT_REPORT", ""), variables["THROUGHPUT"])
        synchronous, throughput = latency(alone, alone_file), latency(loaded, loaded_file)
        alpha, beta = two_points(synchronous, throughput, batch_size)
    except ValueError as error:
        sys.exit(f"calculate-parameters: {error}")
    said = [
        *doubts(alone, alone_file),
        *doubts(loaded, loaded_file),
        *crowd(loaded, loaded_file, batch_size),
        *flat(beta),
    ]
    for warning in said:
        print(f"warning: {warning}")
    found = {
        "itl_synchronous": synchronous,
        "itl_throughput": throughput,
        "batch_size": batch_size,
        "alpha": alpha,
        "beta": beta,
    }
    file = directory / "parameters.json"
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for name, value in (("ALPHA", alpha), ("BETA", beta), ("PARAMETERS_FILE", file)):
        Path(variables[name]).write_text(str(value), encoding="utf-8")
    print(f"ITL_synchronous: {synchronous} ms")
    print(f"ITL_throughput: {throughput} ms")
    print(f"alpha (base latency): {alpha} ms")
    print(f"beta (incremental latency per request): {beta} ms")


if __name__ == "__main__":
    main()
