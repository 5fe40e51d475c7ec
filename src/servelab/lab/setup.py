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
from servelab.spec.model import EngineConfig, Model
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store

Observer = Callable[[str, dict[str, Any]], None]
"""Told of everything that happens as (kind, data), measurement progress included."""


@dataclass(frozen=True)
class Setup:
    """One study and the plug-ins it names; model and engine as they are where the platform starts engines."""

    record: StudyRecord
    store: Store
    engine: Engine
    platform: Platform
    harness: Harness
    model: Model
    config: EngineConfig
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
    chosen = platform(study.platform.name, study.platform.options)
    model, config = seen(study, chosen, lambda file: fetch_model(file, lambda text: observe("fetch", {"text": text})))
    return Setup(
        record=record,
        store=store,
        engine=engine(study.engine.name),
        platform=chosen,
        harness=harness(study.harness.name, study.harness.options),
        model=model,
        config=config,
        observe=observe,
    )


def seen(study: Study, where: Platform, locate: Callable[[EmbeddedFile], Path]) -> tuple[Model, EngineConfig]:
    """The study's model and engine as they are where ``where`` starts engines.

    ``locate`` gives the path of an embedded model that the engine needs.
    """
    return where.seen(_local(study, locate) if where.sees_files else study.model, study.engine)


def _local(study: Study, locate: Callable[[EmbeddedFile], Path]) -> Model:
    if study.model.path is not None or study.engine.name != "llamacpp":
        return study.model
    known = find_model(study.model.id)
    if known is None or known.embedded is None:
        return study.model
    return study.model.model_copy(update={"path": str(locate(known.embedded))})
