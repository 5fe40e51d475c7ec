#!/usr/bin/env python3
"""Latency-model parameters of two guidellm benchmarks, by the two-point formula.

Reads NAME.json of both benchmarks, or the report that a path names, from the directory RESULTS; writes
parameters.json there, latencies in milliseconds, and each result to the file that its variable names. With METHOD
``servelab`` the program of that name calculates instead, and adds its fits to parameters.json.
"""

import json
import os
import subprocess
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


def by_servelab(directory: Path, files: list[str], batch_size: float) -> tuple[float, float]:
    """``(alpha, beta)`` as `servelab estimate` finds them, which writes parameters.json.

    Raises:
        ReportError: it is not in this image, or cannot use the reports.
    """
    file = directory / "parameters.json"
    command = ["servelab", "estimate", "--from-reports", *files, "--batch-size", str(batch_size), "--output", str(file)]
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise ReportError(f"cannot start servelab: {error.strerror}; the image has to have it") from None
    if code != 0:
        raise ReportError(f"servelab estimate ended with code {code}")
    found = json.loads(file.read_text(encoding="utf-8"))
    return float(found["alpha"]), float(found["beta"])


def main() -> None:
    """Do as the module says."""
    variables = os.environ
    directory = Path(variables["RESULTS"])
    by_program = variables.get("METHOD") == "servelab"
    try:
        batch_size = float(variables["BATCH_SIZE"])
        alone, alone_file = _read(directory, variables.get("SYNCHRONOUS_REPORT", ""), variables["SYNCHRONOUS"])
        loaded, loaded_file = _read(directory, variables.get("THROUGHPUT_REPORT", ""), variables["THROUGHPUT"])
        synchronous, throughput = latency(alone, alone_file), latency(loaded, loaded_file)
        if by_program:
            alpha, beta = by_servelab(directory, [alone_file, loaded_file], batch_size)
        else:
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
    if not by_program:
        file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for name, value in (("ALPHA", alpha), ("BETA", beta), ("PARAMETERS_FILE", file)):
        Path(variables[name]).write_text(str(value), encoding="utf-8")
    print(f"ITL_synchronous: {synchronous} ms")
    print(f"ITL_throughput: {throughput} ms")
    print(f"alpha (base latency): {alpha} ms")
    print(f"beta (incremental latency per request): {beta} ms")


if __name__ == "__main__":
    main()
