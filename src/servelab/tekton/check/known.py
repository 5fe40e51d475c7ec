"""The Tasks and StepActions that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from servelab.spec.errors import DocumentError


@dataclass(frozen=True)
class Known:
    """The specs of the Tasks and StepActions in a namespace, by name."""

    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    step_actions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def nearest_task(self, name: str) -> str:
        """A hint at the name that may be meant."""
        return _hint(name, self.tasks)

    def nearest_action(self, name: str) -> str:
        """A hint at the name that may be meant."""
        return _hint(name, self.step_actions)


def known_of(objects: Iterable[Mapping[str, Any]]) -> Known:
    """The Tasks and StepActions among ``objects``."""
    specs: dict[str, dict[str, Mapping[str, Any]]] = {"Task": {}, "StepAction": {}}
    for item in objects:
        metadata, spec, kind = item.get("metadata"), item.get("spec"), item.get("kind")
        if kind in specs and isinstance(metadata, dict) and isinstance(spec, dict):
            specs[str(kind)][str(metadata.get("name"))] = spec
    return Known(specs["Task"], specs["StepAction"])


def read_objects(place: Path) -> list[dict[str, Any]]:
    """Every object in a YAML file, or in those of a directory and the ones below it.

    Raises:
        DocumentError: a file cannot be read.
    """
    found: list[dict[str, Any]] = []
    paths = sorted(path for path in place.rglob("*") if path.suffix in {".yaml", ".yml"}) if place.is_dir() else [place]
    for path in paths:
        try:
            documents = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))
        except (OSError, UnicodeDecodeError) as error:
            raise DocumentError((f"cannot read {path}: {error}",)) from error
        except yaml.YAMLError as error:
            raise DocumentError((f"{path}: this is not YAML: {str(error).splitlines()[0]}",)) from None
        found += [document for document in documents if isinstance(document, dict)]
    return found


def _hint(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f", did you mean `{near[0]}`?" if near else ""
