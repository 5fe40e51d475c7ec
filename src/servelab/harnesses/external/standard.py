"""Raw outputs as Benchmark Report v0.2, by the package that defines it, as far as it can."""

from __future__ import annotations

import contextlib
import io
import logging
import math
from collections.abc import Callable
from typing import Any


def converted(importer: str, *arguments: Any) -> dict[str, Any]:
    """What ``llmd_benchmark_report`` makes of a raw file, as JSON data; empty where it fails.

    ``importer`` is the name of its function, as ``import_guidellm``.
    """
    from llmd_benchmark_report import native_to_br0_2

    convert: Callable[..., Any] = getattr(native_to_br0_2, importer)
    # It reports on standard error and ends the program over a file it does not like.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            data: dict[str, Any] = _finite(convert(*arguments).model_dump(mode="json", exclude_none=True))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, our own conversion stands in
            logging.getLogger(__name__).debug("%s: %s", importer, error)
            return {}
    return data


def _finite(data: Any) -> Any:
    """Without numbers that JSON cannot hold, as the rate of a load that has none."""
    if isinstance(data, dict):
        kept = {name: _finite(value) for name, value in data.items()}
        return {name: value for name, value in kept.items() if not (isinstance(value, float) and math.isinf(value))}
    return [_finite(value) for value in data] if isinstance(data, list) else data
