"""What the catalog knows, and what is installed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from servelab.catalog.engines import EngineArguments, engine_names, get_engine
from servelab.catalog.models import KnownModel, known_models
from servelab.catalog.workloads import Preset, presets
from servelab.spec.metrics import Direction, metric, metric_names
from servelab.spec.plugins import plugin_names
from servelab.web.api.problem import PROBLEMS

router = APIRouter(prefix="/api/v1", tags=["catalog"])


class EngineLine(BaseModel):
    """An engine: whether a study may name it here, and how many of its arguments are known."""

    name: str
    title: str
    installed: bool
    checked: str = ""
    arguments: int = 0


class MetricLine(BaseModel):
    """What a metric's name stands for; ``unit`` is empty for shares and scores."""

    name: str
    title: str
    unit: str
    direction: Direction


@router.get("/models")
def models() -> dict[str, KnownModel]:
    """The models that are known, by short name; any other can be served too."""
    return known_models()


@router.get("/workloads")
def workloads() -> dict[str, Preset]:
    """The workload presets by name, lengths in tokens."""
    return presets()


@router.get("/engines")
def engines() -> list[EngineLine]:
    """The engines whose arguments are known, and plug-ins."""
    installed = plugin_names("servelab.engines")
    known = {name: get_engine(name) for name in engine_names()}
    lines = [
        EngineLine(name=n, title=e.title, installed=n in installed, checked=e.checked, arguments=len(e.arguments))
        for n, e in known.items()
    ]
    return lines + [EngineLine(name=name, title=name, installed=True) for name in installed if name not in known]


@router.get("/engines/{name}", responses=PROBLEMS)
def engine(name: Annotated[str, Path(max_length=64, examples=["vllm"])]) -> EngineArguments:
    """All that is known of an engine's arguments."""
    return get_engine(name)


@router.get("/platforms")
def platforms() -> tuple[str, ...]:
    """Where engines can run."""
    return plugin_names("servelab.platforms")


@router.get("/metrics")
def metrics() -> list[MetricLine]:
    """Everything that is measured; latencies are in seconds."""
    found = (metric(name) for name in metric_names())
    return [MetricLine(name=m.name, title=m.title, unit=m.unit, direction=m.direction) for m in found]
