"""A study while it is written: plain data that may be wrong anywhere."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

from servelab.catalog.models import get_model
from servelab.catalog.written import document_text, full_document, is_plain_length, short_name
from servelab.spec.study import Study

Path = tuple[str | int, ...]


class Draft:
    """The document that a form edits; what the form does not show stays in it, and what was put aside is kept."""

    def __init__(self, study: Study) -> None:
        self._aside: dict[Path, Any] = {}
        self.load(study)

    def load(self, study: Study) -> None:
        """Take another study instead."""
        self.document: dict[str, Any] = full_document(study)
        if set(self.document["model"]) == {"id"}:
            self.document["model"]["id"] = short_name(study.model.id)
        for kind in ("prompt", "output"):
            _as_given(self.document["workload"][kind])

    def get(self, *path: str | int, default: Any = None) -> Any:
        """The value at a place, or the default where there is none."""
        node: Any = self.document
        for part in path:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return default
        return node

    def set(self, path: Path, value: Any) -> None:
        """Put a value at a place; None takes away what is there."""
        node: Any = self.document
        for part, _ in pairwise(path):
            if isinstance(node, dict) and not isinstance(node.get(part), dict | list):
                node[part] = {}
            node = node[part]
        if value is not None:
            node[path[-1]] = value
        elif isinstance(node, dict):
            node.pop(path[-1], None)
        else:
            node.pop(int(path[-1]))

    def put_aside(self, path: Path, name: str) -> None:
        """Take away what is at a place, and keep it under a name, for when it is wanted again."""
        value = self.get(*path)
        if value is not None:
            self._aside[(*path, name)] = value
            self.set(path, None)

    def bring_back(self, path: Path, name: str, otherwise: Any = None) -> None:
        """Put at a place what was put aside there under a name."""
        self.set(path, self._aside.pop((*path, name), copy.deepcopy(otherwise)))

    @property
    def text(self) -> str:
        """The document as YAML, right or wrong."""
        model = self.document.get("model")
        if isinstance(model, dict) and set(model) == {"id"}:  # as a plain name it may be one of the catalog
            return document_text(self.document | {"model": model["id"]})
        return document_text(self.document)


def _as_given(tokens: dict[str, Any]) -> None:
    """A distribution with what a person gives of it, without what follows."""
    if is_plain_length(tokens):
        tokens.pop("min", None)
        del tokens["max"]
    if tokens.get("distribution") == "uniform":
        del tokens["mean"]


def runs_here(model: str) -> bool:
    """Whether a model of the catalog (by short name) comes embedded, so that it needs no accelerator."""
    return get_model(model).embedded is not None
