"""Runs a harness's program: in a process group of its own, with its output in a file that is watched for progress."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from servelab.spec.model import is_secret_name

KEEPER = (sys.executable, "-m", "servelab.harnesses.external.keeper")
LOOK = 0.5  # seconds between looks at the output
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
    # rich shows its progress bars to terminals only, unless it is told that this is as good as one
    "TTY_COMPATIBLE": "1",
    "TTY_INTERACTIVE": "1",
    "COLUMNS": "160",
}
"""Nothing is looked up on the network, and progress is written although nobody sits at a terminal."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def is_proxy(name: str) -> bool:
    """Whether a variable names a proxy: what is measured is the engine, as builtin does it, and nothing in between."""
    return name.lower() in ("http_proxy", "https_proxy", "all_proxy")


async def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    cpus: tuple[int, ...],
    told: Callable[[str], None],
) -> int:
    """Run ``command`` to its end in the directory of ``log``; its exit code.

    ``told`` gets each piece of output as plain text. Cancellation ends the program and all that it started.
    """
    variables = {name: value for name, value in os.environ.items() if not is_secret_name(name) and not is_proxy(name)}
    # Harnesses leave maps and sockets in the temporary directory when they are killed. Its path is short, since that
    # of a socket must be.
    with tempfile.TemporaryDirectory(prefix="servelab-", ignore_cleanup_errors=True) as scratch, log.open("wb") as sink:
        child = await asyncio.create_subprocess_exec(
            *KEEPER,
            ",".join(map(str, cpus)),
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=sink,
            stderr=sink,
            env={**variables, **OFFLINE, "TMPDIR": scratch, **environment},
            cwd=log.parent,
            start_new_session=True,
        )
        watching = asyncio.ensure_future(_watch(log, told))
        try:
            return await child.wait()
        finally:
            watching.cancel()
            # What the program started and forgot is in the group too.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


async def _watch(log: Path, told: Callable[[str], None]) -> None:
    with log.open("rb") as source:
        while True:
            await asyncio.sleep(LOOK)
            new = plain(source.read().decode(errors="replace"))
            if new:
                told(new)


def plain(text: str) -> str:
    """Text without a terminal's colours and cursor movements."""
    return _ESCAPES.sub("", text).replace("\r", "\n")


def last_words(log: Path, lines: int = 3) -> str:
    """The last lines that say anything, for an error message."""
    try:
        text = plain(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    said = [line.strip() for line in text.splitlines() if re.search(r"\w", line)]
    return " / ".join(said[-lines:])[-1000:]
