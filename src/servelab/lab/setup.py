"""Everything a study's trials are run with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servelab.catalog.models import EmbeddedFile, find_model
from servelab.engines.base import Engine, engine
from servelab.harnesses.base import Harness, harness
from servelab.lab.fetch import fetch_model
from servelab.platforms.base import Platform, platform
from servelab.spec.model import Model
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store

Observer = Callable[[str, dict[str, Any]], None]
"""Told of everything that happens as (kind, data), measurement progress included."""


@dataclass(frozen=True)
class Setup:
    """One study and the plug-ins it names."""

    record: StudyRecord
    store: Store
    engine: Engine
    platform: Platform
    harness: Harness
    model: Model
    observe: Observer

    @property
    def study(self) -> Study:
        """The study's document."""
        return self.record.study


def set_up(store: Store, record: StudyRecord, observe: Observer = lambda kind, data: None) -> Setup:
    """Load the plug-ins a study names, and fetch its model if it is an embedded one.

    Raises:
        NotFoundError: a plug-in is not installed.
        DocumentError: an option of the platform or harness is wrong.
        ServelabError: the model cannot be fetched.
    """
    study = record.study
    return Setup(
        record=record,
        store=store,
        engine=engine(study.engine.name),
        platform=platform(study.platform.name, study.platform.options),
        harness=harness(study.harness.name, study.harness.options),
        model=local_model(study, lambda file: fetch_model(file, lambda text: observe("fetch", {"text": text}))),
        observe=observe,
    )


def local_model(study: Study, locate: Callable[[EmbeddedFile], Path]) -> Model:
    """The study's model; with the path that ``locate`` gives when it is an embedded one that the engine needs."""
    if study.model.path is not None or study.engine.name != "llamacpp" or study.platform.name == "endpoint":
        return study.model
    known = find_model(study.model.id)
    if known is None or known.embedded is None:
        return study.model
    return study.model.model_copy(update={"path": str(locate(known.embedded))})
