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

import psycopg
import pytest

PATIENCE = 120.0  # seconds for the server to start or end: a busy machine may stand still for a while
PORTS = 5  # to try: another program may take one before the server does


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
    data = directory / "data"
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(directory)}
    run = {"user": user, "env": environment, "cwd": directory}
    initialised = [bin_directory / "initdb", "-D", data, "-U", "lab", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(initialised, check=True, capture_output=True, **run)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={directory}", "-c", "fsync=off"]
    for _ in range(PORTS):
        port = _free_port()
        server = subprocess.Popen(
            [bin_directory / "postgres", "-D", data, "-p", str(port), *options], stderr=subprocess.DEVNULL, **run
        )
        url = f"postgresql://lab@127.0.0.1:{port}/postgres"
        if _lets_in(server, url, data):
            break
    else:
        raise RuntimeError("PostgreSQL did not start")
    try:
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE)
        shutil.rmtree(directory, ignore_errors=True)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _lets_in(server: subprocess.Popen[bytes], url: str, data: Path) -> bool:
    """Wait until the server answers; False when it ended, as where another program took its port first."""
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=10) as connection:
            if connection.execute("SHOW data_directory").fetchone() == (str(data),):  # ours, and no other server
                return True
        assert time.monotonic() < deadline, "PostgreSQL lets nobody in"
        time.sleep(0.1)
    return False
