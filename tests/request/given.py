"""Requests made by hand, and the values file of the data-collection plan where it is at hand."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from servelab.request.facts import Facts
from servelab.request.said import Request, Understanding
from servelab.request.settle import Settled, settle
from servelab.request.values import Values, own_values, read_values

SHARED = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared"))
BLIS = SHARED / "data" / "blis" / "tektoncsample" / "blis"
DAY = date(2026, 2, 4)
LLAMA_7B = "meta-llama/Llama-2-7b-hf"
LLAMA_70B = "meta-llama/Llama-3.3-70B-Instruct"

needs_blis = pytest.mark.skipif(not BLIS.is_dir(), reason=f"the plan's own files are not at {BLIS} (SERVELAB_SHARED)")


def blis_values() -> Values:
    """The plan's own values file."""
    path = BLIS / "values.yaml"
    return read_values(path.read_text(encoding="utf-8"), str(path))


def values_files() -> list[Any]:
    """Ours, and the plan's."""
    return [pytest.param(own_values, id="own"), pytest.param(blis_values, id="blis", marks=needs_blis)]


def facts(values: Values | None = None, **changes: Any) -> Facts:
    """The day of the plan's examples, and nothing known of a cluster."""
    text = {} if values is None else {"values_text": values.text, "values_source": values.source}
    return Facts(**{"today": DAY, **text, **changes})


def request(**fields: Any) -> Request:
    """A request for the small model in a namespace, unless the fields say otherwise."""
    return Request.model_validate({"model": LLAMA_7B, "namespace": "mert", **fields})


def settled(values: Values | None = None, **fields: Any) -> Settled:
    """That request, settled."""
    return settle(Understanding(request=request(**fields)), facts(values))


def categories(found: Settled) -> dict[str, str]:
    """Parameter -> category."""
    return {change.parameter: change.category.value for change in found.changes}
