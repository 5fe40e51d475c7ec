#!/usr/bin/env python3
"""Latency-model parameters of two guidellm benchmarks, by the two-point formula.

With ITL = alpha + beta * batch size: ITL_synchronous = alpha + beta, ITL_throughput = alpha + beta * batch size.

Reads NAME.json of both benchmarks, or the report that a path names, from the directory RESULTS; writes
parameters.json there, latencies in milliseconds, and each result to the file that its variable names.
"""

import json
import math
import os
import sys
from pathlib import Path
from typing import Any


class ReportError(ValueError):
    """A report that holds no usable latency."""


def two_points(synchronous: float, throughput: float, batch_size: float) -> tuple[float, float]:
    """``(alpha, beta)`` in ms, from the inter-token latencies of one request and of ``batch_size`` at a time.

    Raises:
        ReportError: the two points define no line that a server can have.
    """
    if batch_size <= 1:
        raise ReportError(f"the batch size is {batch_size:g}; it has to be above 1, as the throughput benchmark's was")
    beta = (throughput - synchronous) / (batch_size - 1)
    alpha = synchronous - beta
    if beta < 0 or alpha < 0:
        raise ReportError(
            f"alpha = {alpha:.4f} ms and beta = {beta:.4f} ms may not be negative: the latency of {batch_size:g} "
            f"requests at a time ({throughput:.4f} ms) does not fit that of one ({synchronous:.4f} ms)"
        )
    return alpha, beta


def latency(report: Any, name: str) -> float:
    """The mean inter-token latency in ms of the first benchmark of a guidellm report, of requests that succeeded.

    Raises:
        ReportError: there is none.
    """
    try:
        groups = report["benchmarks"][0]["metrics"]["inter_token_latency_ms"]
        group = groups.get("successful") or groups["total"]
        mean = float(group["mean"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise ReportError(f"{name} is not a report of guidellm with inter-token latencies") from None
    if group.get("count") == 0 or not math.isfinite(mean) or mean <= 0:
        raise ReportError(f"{name} has no inter-token latency: no request succeeded, or each made a single token")
    return mean


def concurrency(report: Any) -> float | None:
    """How many requests were in flight on average, where the report says so."""
    try:
        return float(report["benchmarks"][0]["metrics"]["request_concurrency"]["successful"]["mean"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


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
    in_flight = concurrency(loaded)
    if in_flight is not None and in_flight < 0.9 * batch_size:
        print(f"warning: {in_flight:.1f} requests were in flight on average, not {batch_size:g}: beta is too small")
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
