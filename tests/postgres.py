"""A PostgreSQL server of the tests' own: Debian's programs, a directory of ours, loopback only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def programs() -> Path:
    """The directory with initdb and postgres.

    PostgreSQL is part of the tests: without it they fail, unless SERVELAB_NO_POSTGRES=1 leaves them out on purpose.
    """
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return directory
    found = shutil.which("initdb")
    if found is None:
        if os.environ.get("SERVELAB_NO_POSTGRES") == "1":
            pytest.skip("left out by SERVELAB_NO_POSTGRES=1")
        pytest.fail("PostgreSQL is not installed: apt-get install postgresql, or set SERVELAB_NO_POSTGRES=1")
    return Path(found).resolve().parent


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Run a server; the URL of an empty database."""
    bin_directory = programs()
    # PostgreSQL refuses to run as root.
    user = next(name for name in ("postgres", "nobody") if _exists(name)) if os.getuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="servelab-postgres-"))
    if user is not None:
        shutil.chown(directory, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = directory / "data"
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(directory)}
    run = {"user": user, "env": environment, "cwd": directory}
    initialised = [bin_directory / "initdb", "-D", data, "-U", "lab", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(initialised, check=True, capture_output=True, **run)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={directory}", "-c", "fsync=off"]
    server = subprocess.Popen(
        [bin_directory / "postgres", "-D", data, "-p", str(port), *options], stderr=subprocess.DEVNULL, **run
    )
    try:
        _wait(port)
        yield f"postgresql://lab@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(directory, ignore_errors=True)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            time.sleep(0.5)  # it listens a moment before it lets anybody in
            return
        time.sleep(0.1)
    raise TimeoutError("PostgreSQL did not start")
