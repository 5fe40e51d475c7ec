"""The manifests that come with servelab."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from servelab.spec.errors import NotFoundError

GROUPS = ("step-actions", "tasks", "load-generator", "data-collection", "estimation")
NAMED = ("step-actions", "tasks", "load-generator")
ROLES = "roles"
GENERATOR, GENERATOR_HOME = "guidellm-load-generator", "pipelines"
"""The Task that loads a server, and the namespace from which pipelines fetch it."""


def text(group: str, name: str) -> str:
    """The text of a file."""
    return (_folder(group) / name).read_text(encoding="utf-8")


def names(group: str) -> tuple[str, ...]:
    """The files of a group."""
    return tuple(sorted(file.name for file in _folder(group).iterdir()))


@cache
def documents(group: str, name: str) -> tuple[dict[str, Any], ...]:
    """The YAML documents of a file."""
    return tuple(yaml.load_all(text(group, name), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def objects(group: str) -> tuple[dict[str, Any], ...]:
    """The Kubernetes objects in the YAML files of a group."""
    every = [item for name in names(group) if name.endswith(".yaml") for item in documents(group, name)]
    return tuple(item for item in every if "kind" in item)


def definitions() -> tuple[dict[str, Any], ...]:
    """The StepActions and Tasks of data collection."""
    return (*objects("step-actions"), *objects("tasks"))


def manifests(what: str) -> str:
    """The manifests of a group as one text of YAML documents, or those called ``what``.

    Raises:
        NotFoundError: there are none.
    """
    if what == ROLES:
        return text("data-collection", "roles.yaml")
    if what in {"step-actions", "tasks"}:
        return joined([text(what, name) for name in names(what)])
    for group in NAMED:
        if f"{what}.yaml" in names(group):
            return text(group, f"{what}.yaml")
    known = [ROLES, "step-actions", "tasks", *(name.removesuffix(".yaml") for group in NAMED for name in names(group))]
    raise NotFoundError(f"no manifests {what!r}", f"There are {', '.join(known)}.")


def joined(texts: list[str]) -> str:
    """YAML documents one after the other."""
    return "---\n".join(part if part.endswith("\n") else f"{part}\n" for part in texts)


def _folder(group: str) -> Traversable:
    return files("servelab.tekton") / "manifests" / group
