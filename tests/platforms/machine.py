"""A machine that has nothing to spare, for a moment and for real."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def open_files(more: int) -> Iterator[None]:
    """Let this process open only so many more files."""
    gc.collect()  # what earlier tests left to it would give back files in the middle of this
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = os.dup(0)  # the lowest free descriptor
    os.close(held)
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
