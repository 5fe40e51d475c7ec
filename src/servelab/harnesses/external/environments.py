"""Environments of the harnesses' own, made on demand under the cache directory."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from servelab.harnesses.external.interpreters import interpreters
from servelab.harnesses.external.recipes import TORCH, Recipe
from servelab.spec.errors import MeasureError, ServelabError
from servelab.spec.paths import cache_directory

MARKER = "servelab.json"  # written last: an environment without it was left half made
SPARE = 1.5  # times its size, for the downloads
ASK_TIMEOUT = 300.0  # seconds for pip to look up one package
LAST_LINES = 3

Say = Callable[[str], None]


@dataclass(frozen=True)
class Installed:
    """A harness that can be run."""

    recipe: Recipe
    program: Path
    version: str
    own: bool
    """Whether it is in an environment that servelab made, not merely found on PATH."""


def environment_directory(recipe: Recipe) -> Path:
    """Where the environment of a harness is, or would be."""
    return cache_directory() / "harnesses" / f"{recipe.name}-{recipe.version}"


def find(recipe: Recipe) -> Installed | None:
    """The harness in its own environment, else on PATH, else None."""
    directory = environment_directory(recipe)
    program = directory / "bin" / recipe.program
    if (directory / MARKER).is_file() and program.is_file():
        return Installed(recipe, program, recipe.version, own=True)
    found = shutil.which(recipe.program) or shutil.which(recipe.program, path=str(Path(sys.executable).parent))
    return Installed(recipe, Path(found), _version_of(Path(found), recipe), own=False) if found else None


def require(recipe: Recipe) -> Installed:
    """The harness, ready to run.

    Raises:
        MeasureError: it is not installed.
    """
    found = find(recipe)
    if found is None and recipe.part_of:
        raise MeasureError(
            f"{recipe.name} is a part of {recipe.part_of}, and no {recipe.program} is on PATH",
            f"Install {recipe.part_of}, or use another harness.",
        )
    if found is None:
        raise MeasureError(
            f"{recipe.name} is not installed",
            f"Run: servelab harness install {recipe.name} (about {recipe.megabytes} MB)",
        )
    return found


def install(recipe: Recipe, say: Say = lambda _: None) -> Installed:
    """Make the environment of a harness, unless it is there; ``say`` is told of every step.

    An install that was killed in the middle is found by its missing marker and begun anew; two at once wait for
    each other.

    Raises:
        ServelabError: it is a part of another product, a Python is missing, the disk is too small, or pip fails.
    """
    if recipe.part_of:
        raise ServelabError(
            f"{recipe.name} is a part of {recipe.part_of}, and is used where {recipe.program} is on PATH",
            f"Install {recipe.part_of} as you would to serve with it.",
        )
    directory = environment_directory(recipe)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _lock(directory.with_name(f"{directory.name}.lock"), recipe, say):
            if not (directory / MARKER).is_file():
                _make(recipe, directory, say)
    except OSError as error:
        raise ServelabError(
            f"cannot write {directory}: {error.strerror or error}", "Free some space, or set SERVELAB_CACHE."
        ) from error
    return Installed(recipe, directory / "bin" / recipe.program, recipe.version, own=True)


def _make(recipe: Recipe, directory: Path, say: Say) -> None:
    if directory.exists():
        say("removing an installation that was interrupted")
        shutil.rmtree(directory)
    free = shutil.disk_usage(directory.parent).free
    if free < SPARE * recipe.megabytes * 1e6:
        raise ServelabError(
            f"{recipe.name} needs about {SPARE * recipe.megabytes:.0f} MB while it is installed; "
            f"{free / 1e6:.0f} MB are free at {directory.parent}",
            "Free some space, or set SERVELAB_CACHE.",
        )
    python = _interpreter(recipe, say)
    say(f"making an environment with {python}")
    started = time.monotonic()
    _run([str(python), "-m", "venv", str(directory)], lambda _: None, f"{python} cannot make an environment")
    constraints = directory / "constraints.txt"
    constraints.write_text(f"torch=={TORCH}\n", encoding="utf-8")
    wanted = [f"{recipe.package}=={recipe.version}", *([f"torch=={TORCH}"] if recipe.torch else [])]
    own = directory / "bin" / "python"
    pip = [str(own), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    _run([*pip, "--constraint", str(constraints), *wanted], _steps(say), f"pip could not install {recipe.label}")
    if _version_of(own, recipe) != recipe.version:
        raise ServelabError(f"pip installed something else than {recipe.label}", "Try again; see what pip's index has.")
    part = directory / f"{MARKER}.part"
    part.write_text(json.dumps({"package": recipe.package, "version": recipe.version, "python": str(python)}))
    part.replace(directory / MARKER)
    say(f"{recipe.label} is installed ({time.monotonic() - started:.0f} s)")


def _interpreter(recipe: Recipe, say: Say) -> Path:
    """A Python that the harness runs on, and for which torch comes without CUDA if it needs torch."""
    found = list(interpreters(recipe.pythons))
    if not found:
        raise ServelabError(
            f"{recipe.label} runs on Python {' or '.join(recipe.pythons)}, and none is on PATH",
            f"Install one, so that python{recipe.pythons[0]} starts it.",
        )
    if not recipe.torch:
        return found[0]
    for python in found:
        say(f"asking pip for a CPU build of torch {TORCH} for {python}")
        if _cpu_torch(python):
            return python
    raise ServelabError(
        f"{recipe.label} requires torch, and pip would get torch {TORCH} with CUDA only: several GB, of no use here",
        "Give pip the index of PyTorch's CPU builds (see pytorch.org) in PIP_EXTRA_INDEX_URL, and try again.",
    )


def _cpu_torch(python: Path) -> bool:
    """Whether pip would install a torch that requires nothing of CUDA. Reads metadata, downloads no package."""
    command = [str(python), "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--report", "-", f"torch=={TORCH}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ASK_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
        metadata = json.loads(done.stdout)["install"][0]["metadata"]
    except (subprocess.TimeoutExpired, ValueError, LookupError):
        return False
    return not any(required.startswith(("nvidia", "cuda")) for required in metadata.get("requires_dist", ()))


def _steps(say: Say) -> Callable[[str], None]:
    """Tell pip's progress: each package, once."""
    count = 0

    def told(line: str) -> None:
        nonlocal count
        if line.startswith("Collecting "):
            count += 1
            say(f"package {count}: {line.split()[1]}")
        elif line.startswith("Installing collected packages"):
            say(f"unpacking {line.count(',') + 1} packages")

    return told


def _run(command: list[str], told: Callable[[str], None], failure: str) -> None:
    """Run to the end, line by line.

    Raises:
        ServelabError: it fails; with its last lines.
    """
    pipe = subprocess.PIPE
    lines: list[str] = []
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    try:
        assert child.stdout is not None
        for line in child.stdout:
            told(line.strip())
            if line.strip() and not line.startswith("WARNING"):
                lines = [*lines[1 - LAST_LINES :], line.strip()]
        code = child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    if code:
        raise ServelabError(f"{failure}: {' / '.join(lines) or f'exit code {code}'}", "Check the network and pip.")


def _version_of(program: Path, recipe: Recipe) -> str:
    """The version of the package beside a program; ``unknown`` where its Python is not there."""
    python = program.resolve().parent / "python" if program.name == recipe.program else program
    ask = f"import importlib.metadata as m; print(m.version({recipe.package!r}))"
    try:
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


@contextlib.contextmanager
def _lock(path: Path, recipe: Recipe, say: Say) -> Iterator[None]:
    """One install of a harness at a time; the kernel lets go of the lock of a process that was killed."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another install of {recipe.name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
