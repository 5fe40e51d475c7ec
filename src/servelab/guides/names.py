"""What a guide and its variants are called."""

from __future__ import annotations

import posixpath
import re

from servelab.guides.parse import GuideError
from servelab.guides.place import GUIDES

YAML = re.compile(r"\.ya?ml(\.gotmpl)?\Z")
_VARIANT = re.compile(r"values[-_.](?P<after>.+)|(?P<before>.+)[-_.]values")
_GENERIC = ("base", "vllm", "modelserver", "manifests", "default", "standard")


def slug(text: str) -> str:
    """A name for files: small letters, digits and hyphens.

    Raises:
        GuideError: nothing is left of it.
    """
    found = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:100]
    if not found:
        raise GuideError(f"{text!r} makes no name for files", "Give one with --name.")
    return found


def variant_of(path: str) -> str:
    """The variant that a values file's name tells: ``values_amd.yaml`` is ``amd``; empty for ``values.yaml``."""
    found = _VARIANT.fullmatch(YAML.sub("", posixpath.basename(path)))
    return (found["after"] or found["before"]) if found else ""


def variant_of_folder(path: str) -> str:
    """The variant that a kustomization's directory tells: what lies between its guide's directory and it."""
    parts = [part for part in path.split("/") if part]
    name = guide_name(path)
    inner = parts[len(parts) - parts[::-1].index(GUIDES) + 1 :] if GUIDES in parts[:-1] else parts[-1:]
    return "-".join(part for part in inner if part not in _GENERIC and part != name)


def guide_name(path: str) -> str:
    """The guide's name: the directory below ``guides``, or else that of the file or of its directory."""
    parts = [part for part in path.split("/") if part]
    below = parts[len(parts) - parts[::-1].index(GUIDES) :] if GUIDES in parts[:-1] else []
    if below and not (len(below) == 1 and YAML.search(below[0])):
        return below[0]
    stem = YAML.sub("", parts[-1])
    if stem != parts[-1] and len(parts) > 1 and (stem == "values" or (variant_of(path) and not below)):
        return parts[-2]
    return stem
