"""Copy a directory out of a pod: only what is missing here, each file checked by its SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from servelab.kube.archive import inside, unpack
from servelab.kube.cluster import Cluster
from servelab.kube.errors import UnreachableError
from servelab.kube.execute import Finished, execute
from servelab.spec.errors import ClusterError

BATCH = 32 * 2**20  # bytes of files that come in one archive
NAMES = 8000  # characters of file names in one request
LARGE = 8 * 2**20  # bytes from which a file comes alone, and is resumed in its middle
TRIES = 5  # connections that may be lost before a copy gives up
PAUSE = 1.0  # seconds between them
TAR_EXTRA = 20 * 2**10  # bytes that an archive has beside a file's content: headers, and blocks that are filled up
PART = ".servelab-part"  # ends the name of a file that is not complete yet

_SIZE = re.compile(r"(\d+) (.+)")
_SUM = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class RemoteFile:
    """A file in a pod: its path below the copied directory, bytes, and SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Place:
    """A directory in a container."""

    cluster: Cluster
    pod: str
    container: str
    directory: str

    async def run(self, *command: str, sink: Callable[[bytes], object] | None = None) -> Finished:
        """Run a command there.

        Raises:
            ClusterError: it failed, or could not be run.
        """
        done = await execute(self.cluster, self.pod, command, self.container, sink=sink)
        if done.code:
            raise ClusterError(
                f"{command[0]} in pod {self.pod} failed with exit code {done.code}: {done.errors.strip()}",
                f"Is {self.directory} there, and does the pod's image have find, stat, sha256sum, tail and tar?",
            )
        return done


async def copy_out(place: Place, destination: Path, progress: Callable[[int, int], object] | None = None) -> list[Path]:
    """Copy all files below a pod's directory into ``destination``; the paths of all of them, those that were here too.

    ``progress`` is told bytes done and bytes in all. A copy that was interrupted goes on where it stopped.

    Raises:
        ClusterError: the pod has no such directory, a name would leave ``destination``, the connection is lost too
            often, or a file changes while it is copied.
    """
    destination = destination.resolve()
    files = await _list(place)
    for file in files:
        inside(destination, file.path)
    total = sum(file.size for file in files)
    for _ in range(TRIES):
        missing = await asyncio.to_thread(_missing, destination, files)
        done = total - sum(file.size for file in missing)
        if progress:
            progress(done, total)
        if not missing:
            return [inside(destination, file.path) for file in files]
        try:
            await _fetch(place, destination, missing, _onwards(progress, done, total))
        except UnreachableError:
            await asyncio.sleep(PAUSE)
    names = ", ".join(file.path for file in missing[:3])
    raise ClusterError(
        f"{len(missing)} of {len(files)} files of pod {place.pod} could not be copied: {names}",
        "Run the same command again: it goes on from here. A file that is still written to cannot be copied.",
    )


def _onwards(progress: Callable[[int, int], object] | None, done: int, total: int) -> Callable[[int], object]:
    return lambda more: progress(done + more, total) if progress else None


def _plus(told: Callable[[int], object], done: int) -> Callable[[int], object]:
    return lambda more: told(done + more)


async def _list(place: Place) -> list[RemoteFile]:
    sizes = await place.run("find", place.directory, "-type", "f", "-exec", "stat", "-c", "%s %n", "{}", "+")
    sums = await place.run("find", place.directory, "-type", "f", "-exec", "sha256sum", "{}", "+")
    by_path = {found[2]: found[1] for found in _matches(_SUM, sums.output)}
    found = [(found[2], int(found[1])) for found in _matches(_SIZE, sizes.output)]
    return [
        RemoteFile(str(PurePosixPath(path).relative_to(place.directory)), size, by_path[path])
        for path, size in found
        if path in by_path
    ]


def _matches(pattern: re.Pattern[str], output: bytes) -> Iterator[re.Match[str]]:
    for line in output.decode(errors="surrogateescape").splitlines():
        found = pattern.fullmatch(line)
        if found is None:
            raise ClusterError(f"the pod has a file with a name that cannot be copied: {line!r}", "Rename it.")
        yield found


def _missing(destination: Path, files: list[RemoteFile]) -> list[RemoteFile]:
    return [file for file in files if not _same(inside(destination, file.path), file)]


def _same(target: Path, file: RemoteFile) -> bool:
    if target.is_symlink() or not target.is_file() or target.stat().st_size != file.size:
        return False
    with target.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


async def _fetch(place: Place, destination: Path, files: list[RemoteFile], told: Callable[[int], object]) -> None:
    done = 0
    for batch in _batches([file for file in files if file.size < LARGE]):
        for file in await _fetch_archive(place, destination, batch):
            await _fetch_alone(place, inside(destination, file.path), file)
        done += sum(file.size for file in batch)
        told(done)
    for file in files:
        if file.size >= LARGE:
            await _fetch_alone(place, inside(destination, file.path), file, _plus(told, done))
            done += file.size


def _batches(files: list[RemoteFile]) -> Iterator[list[RemoteFile]]:
    batch: list[RemoteFile] = []
    size = length = 0
    for file in files:
        if batch and (size + file.size > BATCH or length + len(file.path) > NAMES):
            yield batch
            batch, size, length = [], 0, 0
        batch.append(file)
        size, length = size + file.size, length + len(file.path)
    if batch:
        yield batch


async def _fetch_archive(place: Place, destination: Path, files: list[RemoteFile]) -> list[RemoteFile]:
    """Small files in one tar archive, of which only what was asked for is unpacked; what it did not bring as a file.

    Of files that are one file under several names, tar brings the content once.
    """
    wanted = {file.path for file in files}
    most = sum(file.size + TAR_EXTRA + 2 * len(file.path) for file in files) + TAR_EXTRA
    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=destination) as archive:

        def write(data: bytes) -> None:
            if archive.tell() + len(data) > most:
                raise ClusterError(
                    f"pod {place.pod} sends more than its files had when they were listed",
                    "Copy when nothing writes to them any more; if nothing does, do not trust that pod.",
                )
            archive.write(data)

        await place.run("tar", "cf", "-", "-C", place.directory, *(f"./{name}" for name in wanted), sink=write)
        archive.seek(0)
        brought = await asyncio.to_thread(unpack, archive, destination, lambda name: name if name in wanted else None)
    return [file for file in files if file.path not in brought]


async def _fetch_alone(
    place: Place, target: Path, file: RemoteFile, told: Callable[[int], object] = lambda _: None
) -> None:
    """One file, from where the last try ended; what it has grown by meanwhile is left."""
    part = target.with_name(f"{target.name}{PART}")
    target.parent.mkdir(parents=True, exist_ok=True)
    offset = part.stat().st_size if part.exists() else 0
    offset = offset if offset <= file.size else 0
    with part.open("ab") as opened:
        opened.truncate(offset)

        def write(data: bytes) -> None:
            opened.write(data[: file.size - opened.tell()])
            told(opened.tell())

        await place.run("tail", "-c", f"+{offset + 1}", f"{place.directory}/{file.path}", sink=write)
    if await asyncio.to_thread(_same, part, file):
        part.replace(target)
    else:
        part.unlink()
