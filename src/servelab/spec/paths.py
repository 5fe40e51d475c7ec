"""Where servelab keeps what can be fetched again."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_directory() -> Path:
    """What can be fetched again; SERVELAB_CACHE moves it."""
    cache = os.environ.get("SERVELAB_CACHE")
    return Path(cache) if cache else user_cache_path("servelab")
