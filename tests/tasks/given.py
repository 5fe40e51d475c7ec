"""Where the given files of the inference autotuner lie: they have no licence, and are not part of this project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

GIVEN = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "autotuner"
needs_given = pytest.mark.skipif(not GIVEN.is_dir(), reason="the given files are not here: set SERVELAB_SHARED")
