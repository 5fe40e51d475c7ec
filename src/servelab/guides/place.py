"""Where a guide's files are: in a directory, or in a GitHub repository."""

from __future__ import annotations

import json
import os
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from servelab.guides.fetch import Fetcher
from servelab.guides.parse import GuideError, decoded, parse, parse_one
from servelab.guides.tree import Node

GUIDES = "guides"
_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)/(tree|blob)/([\w.-]+)/(.*)")
_RAW = "https://raw.githubusercontent.com"
_API = "https://api.github.com/repos"


class Place(Protocol):
    """Where files are read from. Paths have slashes and no dots, and begin at the place's own top."""

    @property
    def title(self) -> str:
        """What the user gave."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        ...

    def names(self, path: str) -> list[str] | None:
        """What is in a directory, sorted; None where the place cannot tell."""
        ...

    def local(self, path: str) -> Path | None:
        """The path on this machine, where it is on one."""
        ...

    def shown(self, path: str) -> str:
        """The path as comments name it: from the directory that holds ``guides`` on."""
        ...


@dataclass(frozen=True)
class Directory:
    """A directory of this machine and all around it; paths are whole ones."""

    title: str
    top: str
    """What shown paths are relative to."""

    def read(self, path: str) -> bytes | None:
        """See Place."""
        try:
            return Path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise GuideError(f"{path}: cannot be read: {error.strerror}", "Make it readable.") from None

    def names(self, path: str) -> list[str] | None:
        """See Place."""
        return sorted(one.name for one in Path(path).iterdir()) if Path(path).is_dir() else []

    def local(self, path: str) -> Path | None:
        """See Place."""
        return Path(path)

    def shown(self, path: str) -> str:
        """See Place."""
        return os.path.relpath(path, self.top)


@dataclass(frozen=True)
class GitHub:
    """A repository at a branch, tag or commit, read file by file."""

    title: str
    owner: str
    repository: str
    ref: str
    fetcher: Fetcher = field(default_factory=Fetcher)

    def read(self, path: str) -> bytes | None:
        """See Place."""
        return self.fetcher.get(f"{_RAW}/{self.owner}/{self.repository}/{self.ref}/{path}")

    def names(self, path: str) -> list[str] | None:
        """See Place; GitHub lists some sixty directories an hour for those it does not know."""
        try:
            found = self.fetcher.get(f"{_API}/{self.owner}/{self.repository}/contents/{path}?ref={self.ref}")
            listed = json.loads(found or b"[]")
        except (GuideError, ValueError):
            return None
        return sorted(str(one["name"]) for one in listed) if isinstance(listed, list) else []

    def local(self, path: str) -> Path | None:
        """See Place."""
        return None

    def shown(self, path: str) -> str:
        """See Place."""
        return path


@dataclass(frozen=True)
class OneFile:
    """A single YAML file somewhere on the web."""

    title: str
    fetcher: Fetcher = field(default_factory=Fetcher)

    def read(self, path: str) -> bytes | None:
        """See Place."""
        return self.fetcher.get(self.title) if path == posixpath.basename(self.title) else None

    def names(self, path: str) -> list[str] | None:
        """See Place."""
        return []

    def local(self, path: str) -> Path | None:
        """See Place."""
        return None

    def shown(self, path: str) -> str:
        """See Place."""
        return path


def place_of(given: str, fetcher: Fetcher | None = None) -> tuple[Place, str]:
    """The place that an address or a path means, and the path in it.

    Raises:
        GuideError: there is no such path, or it is no address that can be fetched.
    """
    fetcher = fetcher or Fetcher()
    if github := _GITHUB.fullmatch(given.split("?", 1)[0].split("#", 1)[0].rstrip("/")):
        owner, repository, _, ref, path = github.groups()
        return GitHub(given, owner, repository, ref, fetcher), joined("", path)
    if "://" in given:
        if not given.startswith("https://") or not given.endswith((".yaml", ".yml")):
            raise GuideError(
                f"{given}: not an https address of a YAML file or of a directory on GitHub",
                "Give https://github.com/OWNER/REPOSITORY/tree/REF/PATH, or https://….yaml, or a path.",
            )
        return OneFile(given, fetcher), posixpath.basename(given)
    path = Path(os.path.abspath(os.path.expanduser(given)))  # noqa: PTH100, PTH111 - a link stays what it is called
    if not path.exists():
        raise GuideError(f"{given}: there is no such file or directory", "Give a guide's directory or values file.")
    return Directory(given, str(_top(path))), str(path)


def _top(path: Path) -> Path:
    """The directory that holds ``guides``, or else the directory itself."""
    folder = path if path.is_dir() else path.parent
    holders = [one.parent for one in (folder, *folder.parents) if one.name == GUIDES]
    return holders[-1] if holders else folder


def joined(base: str, *parts: str) -> str:
    """A path below or beside another, without dots.

    Raises:
        GuideError: it would leave the place.
    """
    path = posixpath.normpath(posixpath.join(base, *parts))
    if path.startswith(".."):
        raise GuideError(f"{posixpath.join(base, *parts)} lies outside of the repository", "Mend the guide.")
    return "" if path == "." else path


def read_text(place: Place, path: str) -> str | None:
    """A file's text; None where there is none.

    Raises:
        GuideError: it cannot be read.
    """
    data = place.read(path)
    return None if data is None else decoded(data, place.shown(path))


def read_documents(place: Place, path: str) -> list[Node]:
    """All YAML documents of a file that must be there.

    Raises:
        GuideError: it is not there, or no YAML.
    """
    text = read_text(place, path)
    if text is None:
        raise GuideError(f"{place.shown(path)}: there is no such file", "Give the whole guide.")
    return parse(text, place.shown(path))


def read_document(place: Place, path: str) -> Node | None:
    """The first YAML document of a file; None where there is no file.

    Raises:
        GuideError: it is no YAML.
    """
    text = read_text(place, path)
    return None if text is None else parse_one(text, place.shown(path))
