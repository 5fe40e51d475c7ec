"""Recognises the raw output of a load generator, whichever it is, and makes Reports of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from servelab.harnesses.external import aiperf, genai_bench, guidellm, inference_perf, vllm_bench
from servelab.harnesses.external.measured import Measured, imported
from servelab.spec.errors import DocumentError
from servelab.spec.report import Report

KNOWN = "guidellm, inference-perf, vllm bench serve, aiperf, genai-bench"


def is_beside(path: Path) -> bool:
    """Whether a file is read with the result beside it, and is none itself; told by its name."""
    return path.name in (inference_perf.REQUESTS, genai_bench.METADATA)


def import_reports(path: Path) -> list[Report]:
    """The Reports of a file that a load generator left, one for each load point in it.

    Raises:
        DocumentError: it cannot be read, or no known load generator wrote it.
    """
    data = _data(path)
    try:
        found = _read(path, data)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DocumentError((f"{path} is damaged: {type(error).__name__}: {error}",)) from error
    if not found:
        raise DocumentError(
            (f"{path}: no measurement of a known load generator is in it",), f"Known are the results of {KNOWN}."
        )
    return [imported(measured) for measured in found]


def is_of_guidellm(path: Path) -> bool:
    """Whether guidellm left a file.

    Raises:
        DocumentError: it cannot be read.
    """
    return guidellm.is_guidellm(_data(path))


def _data(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentError((f"cannot read {path}: {error.strerror or error}",)) from error
    except ValueError as error:
        raise DocumentError((f"{path} is not JSON: {error}",), f"Known are the results of {KNOWN}.") from error


def _read(path: Path, data: Any) -> list[Measured]:
    if guidellm.is_guidellm(data):
        return guidellm.read_all(path)
    if inference_perf.is_inference_perf(data):
        return [inference_perf.read(path)]
    if vllm_bench.is_vllm_bench(data):
        return [vllm_bench.read(path)]
    if aiperf.is_aiperf(data):
        return [aiperf.read(path)]
    return genai_bench.read_all(path, data)
