"""Where a guide's files are: in a directory, or in a GitHub repository."""

from __future__ import annotations

import json
import os
import posixpath
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from servelab.guides.fetch import Fetcher
from servelab.guides.parse import MOST_BYTES, GuideError, decoded, parse, parse_one
from servelab.guides.tree import Node

GUIDES = "guides"
_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)/(tree|blob)/([\w.-]+)/(.*)")
_RAW_GITHUB = re.compile(r"https://raw\.githubusercontent\.com/([\w.-]+)/([\w.-]+)/(?:refs/heads/)?([\w.-]+)/(.*)")
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
    """A directory of this machine; paths are whole ones."""

    title: str
    top: str
    """What shown paths are relative to."""
    within: tuple[str, ...]
    """What may be read: a guide from elsewhere must not bring other files of this machine into a scenario."""

    def read(self, path: str) -> bytes | None:
        """See Place."""
        try:
            kind = Path(path).stat().st_mode
            if stat.S_ISDIR(kind):
                return None
            self._check(path)
            if not stat.S_ISREG(kind):
                raise GuideError(f"{path}: this is no plain file", "Give a YAML file, or a directory.")
            with Path(path).open("rb") as file:
                return file.read(MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise GuideError(f"{path}: cannot be read: {reason}", "Make it readable.") from None

    def _check(self, path: str) -> None:
        real = os.path.realpath(path)
        if not any(Path(real).is_relative_to(one) for one in self.within):
            raise GuideError(
                f"{path}: lies outside of {self.within[0]}, and is not read",
                "Mend the guide, or give it within the directory that holds all of it.",
            )

    def names(self, path: str) -> list[str] | None:
        """See Place."""
        try:
            self._check(path)
            return sorted(one.name for one in Path(path).iterdir()) if Path(path).is_dir() else []
        except (OSError, ValueError, GuideError):
            return None

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
        return self.fetcher.get(self.title) if path == _path_of(self.title) else None

    def names(self, path: str) -> list[str] | None:
        """See Place."""
        return []

    def local(self, path: str) -> Path | None:
        """See Place."""
        return None

    def shown(self, path: str) -> str:
        """See Place."""
        return path


Found = tuple[Place, str]
"""A place, and the path of a guide in it."""


@dataclass
class Reading:
    """A place, and what was read of it, by the names that comments use."""

    place: Place
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """See Place."""
        return self.place.title

    def read(self, path: str) -> bytes | None:
        """See Place."""
        data = self.place.read(path)
        if data is not None:
            self.texts[self.shown(path)] = data[:MOST_BYTES].decode("utf-8-sig", "replace")
        return data

    def names(self, path: str) -> list[str] | None:
        """See Place."""
        return self.place.names(path)

    def local(self, path: str) -> Path | None:
        """See Place."""
        return self.place.local(path)

    def shown(self, path: str) -> str:
        """See Place."""
        return self.place.shown(path)


def place_of(given: str, fetcher: Fetcher | None = None) -> Found:
    """The place that an address or a path means, and the path in it.

    Raises:
        GuideError: there is no such path, or it is no address that can be fetched.
    """
    if "://" in given:
        return remote_place(given, fetcher)
    path = Path(os.path.abspath(os.path.expanduser(given)))  # noqa: PTH100, PTH111 - a link stays what it is called
    if not os.path.exists(path):  # noqa: PTH110 - which asks no questions of odd paths
        raise GuideError(f"{given}: there is no such file or directory", "Give a guide's directory or values file.")
    real = path.resolve()
    return Directory(given, str(_top(path)), (str(_whole(path).resolve()), str(_whole(real)))), str(path)


def remote_place(given: str, fetcher: Fetcher | None = None) -> Found:
    """The place that an address means; never one of this machine.

    Raises:
        GuideError: it is no address that can be fetched.
    """
    fetcher = fetcher or Fetcher()
    if github := _GITHUB.fullmatch(given.split("?", 1)[0].split("#", 1)[0].rstrip("/")):
        owner, repository, _, ref, path = github.groups()
        return GitHub(given, owner, repository, ref, fetcher), joined("", path)
    if raw := _RAW_GITHUB.fullmatch(given):
        owner, repository, ref, path = raw.groups()
        return GitHub(given, owner, repository, ref, fetcher), joined("", path)
    if not given.startswith("https://") or not given.endswith((".yaml", ".yml")):
        raise GuideError(
            f"{given}: not an https address of a YAML file or of a directory on GitHub",
            "Give https://github.com/OWNER/REPOSITORY/tree/REF/PATH, or https://….yaml, or a path.",
        )
    return OneFile(given, fetcher), _path_of(given)


def _whole(path: Path) -> Path:
    """What a guide may refer to: the directory that holds ``guides``, its repository, or two levels above it."""
    folder = path if path.is_dir() else path.parent
    if (top := _top(path)) != folder:
        return top
    above = [folder, *folder.parents[:2]]
    private = {Path.home(), *Path.home().parents}
    return next(
        (one for one in (folder, *folder.parents) if (one / ".git").exists()),
        next((one for one in reversed(above) if one not in private), folder),
    )


def _path_of(url: str) -> str:
    return url.split("://", 1)[1].partition("/")[2]


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
