"""A guide that somebody sent: files in memory, so that nothing of this machine is read or written for it."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from servelab.guides.fetch import MOST_FILES
from servelab.guides.helmfile import NAMES
from servelab.guides.names import YAML
from servelab.guides.parse import MOST_BYTES, GuideError
from servelab.guides.place import GUIDES

MOST_IN_ALL = 8 << 20  # bytes of all files
MOST_DEEP = 20  # directories above a file
REMEDY = "Send the guide's own directory."


@dataclass(frozen=True)
class Upload:
    """Files by their paths, which have slashes and no dots: a place, as ``Directory`` is."""

    files: Mapping[str, bytes]
    title: str = "an upload"

    def read(self, path: str) -> bytes | None:
        """See Place."""
        return self.files.get(path)

    def names(self, path: str) -> list[str] | None:
        """See Place."""
        start = f"{path}/" if path else ""
        inner = (one.removeprefix(start) for one in self.files if one.startswith(start))
        return sorted({one.partition("/")[0] for one in inner})

    def local(self, path: str) -> Path | None:
        """See Place."""
        return None

    def shown(self, path: str) -> str:
        """See Place."""
        return path

    def guides(self) -> list[str]:
        """Paths that look like guides: the only file, else directories with a helmfile or values of a model server."""
        if len(self.files) == 1:
            return list(self.files)
        found = set()
        for path in self.files:
            folder, name = posixpath.split(path)
            above, inner = posixpath.split(folder)
            if name in NAMES:
                found.add(folder)
            elif inner.startswith("ms-") and YAML.search(name):
                found.add(above)
        return sorted(found) or [_common(self.files)]


def uploaded(files: Iterable[tuple[str, bytes]], title: str = "an upload") -> Upload:
    """The files that were sent.

    Raises:
        GuideError: there are too many, they are too large, or a path is none.
    """
    found: dict[str, bytes] = {}
    size = 0
    for given, data in files:
        path = _checked(given)
        size += len(data)
        if len(data) > MOST_BYTES:
            raise GuideError(f"{path}: larger than {MOST_BYTES:,} bytes", REMEDY)
        if size > MOST_IN_ALL or len(found) >= MOST_FILES:
            raise GuideError(f"more than {MOST_FILES} files, or {MOST_IN_ALL >> 20} MB", REMEDY)
        if path in found:
            raise GuideError(f"{path}: two files have this path", "Send each one once.")
        found[path] = data
    if not found:
        raise GuideError("no file was sent", "Send a values file, or a guide's directory as a zip.")
    return Upload(found, title)


def unpacked(data: bytes, title: str = "an upload") -> Upload:
    """The files of a zip; no more of it is unpacked than may be there.

    Raises:
        GuideError: it is no zip, or encrypted, too large when unpacked, or names a path that leaves it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            if len(entries) > MOST_FILES or sum(one.file_size for one in entries) > MOST_IN_ALL:
                raise GuideError(f"more than {MOST_FILES} files, or {MOST_IN_ALL >> 20} MB unpacked", REMEDY)
            return uploaded(((one.filename, _read(archive, one)) for one in entries), title)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise GuideError(f"{title}: this is no zip that can be read: {error}", "Send a zip of the guide.") from None


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        return file.read(MOST_BYTES + 1)  # whatever the archive says of its size


def _checked(given: str) -> str:
    parts = given.split("/")
    odd = not given.isprintable() or "\\" in given or len(given) > 400 or len(parts) > MOST_DEEP
    if odd or any(part in ("", ".", "..") for part in parts):
        raise GuideError(f"{given[:100]!r} is no path of an upload", "Give paths as guides/NAME/values.yaml.")
    return given


def _common(paths: Iterable[str]) -> str:
    """The directory that holds all; of a tree of guides, the only one of them."""
    folder = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    inner = {path.removeprefix(f"{folder}/").partition("/")[0] for path in paths}
    only = [one for one in inner if one != "prereq"]
    return posixpath.join(folder, only[0]) if posixpath.basename(folder) == GUIDES and len(only) == 1 else folder
