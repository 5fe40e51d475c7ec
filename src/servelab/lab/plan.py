"""What a study would do: nothing is started."""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field

from servelab.engines.base import engine
from servelab.lab.accelerators.count import accelerator_count
from servelab.lab.fetch import model_path
from servelab.lab.prior import prior_source
from servelab.lab.screening import shortened
from servelab.lab.setup import seen
from servelab.lab.steps import has_baseline, planned_retests, planned_trials
from servelab.lab.suggest import Suggestions
from servelab.platforms.base import platform
from servelab.spec.base import Parameters, Spec
from servelab.spec.deployment import Address, Mark
from servelab.spec.load import LoadPoint
from servelab.spec.saturation import most_probes
from servelab.spec.study import Study
from servelab.spec.trial import Trial

FIRST = 3  # configurations shown beforehand
EXAMPLE_PORT = 8000


class Planned(Spec):
    """A trial that is certain to be run, and how its engine is started (empty: it runs already).

    ``image`` is what the command runs in, and ``manifest`` the object that a cluster gets; None elsewhere.
    """

    parameters: Parameters
    command: tuple[str, ...]
    image: str | None = None
    manifest: dict[str, Any] | None = None


class Plan(Spec):
    """What a study will cost at most, and how it begins.

    ``load_seconds`` is the time under load if every trial is measured in full; None when the engine's speed decides:
    the load is given in requests at a concurrency, or its levels are found out (``adaptive``).
    ``measurements_per_trial`` are at most so many where a saturation is searched.
    """

    trials: int
    verification_trials: int
    measurements_per_trial: int
    load_seconds: float | None
    adaptive: bool = False
    prior: str | None = Field(default=None, description="where what is foretold comes from, with versions")
    first: tuple[Planned, ...]


def make_plan(study: Study) -> Plan:
    """Plan a study.

    Raises:
        NotFoundError: the engine, platform or sampler is not installed.
        DeployError: the engine cannot be started with the first configurations.
    """
    trials = planned_trials(study)
    retests = planned_retests(study)
    load = study.load
    levels = most_probes(load) if load.saturation else load.sweep or len(load.points)
    if load.estimate:
        levels = load.estimate.most
    return Plan(
        trials=trials,
        verification_trials=retests,
        measurements_per_trial=levels * study.budget.repeats,
        adaptive=load.adaptive,
        load_seconds=_load_seconds(study, trials, retests),
        prior=prior_source(study) if study.space else None,
        first=tuple(_planned(study, number, p) for number, p in enumerate(_first(study, trials))),
    )


def _first(study: Study, trials: int) -> list[Parameters]:
    """The configurations that are known before anything was measured."""
    found = [study.baseline] if has_baseline(study) else []
    suggestions = Suggestions(study)
    while len(found) < min(FIRST, trials):
        asked = suggestions.next([Trial(number=i, parameters=p) for i, p in enumerate(found)])
        if asked is None:
            break
        found.append(asked)
    return found


def _planned(study: Study, number: int, parameters: Parameters) -> Planned:
    where = platform(study.platform.name, study.platform.options)
    if not where.starts_engine:
        return Planned(parameters=parameters, command=())
    model, config = seen(study, where, model_path)
    # Here a port is found when the engine starts; elsewhere it is known.
    address = Address(port=EXAMPLE_PORT) if where.sees_files else where.address()
    launch = engine(study.engine.name).launch(model, config, parameters, address)
    needed = accelerator_count(study, parameters)
    launch = launch.model_copy(update={"accelerators": needed, "resources": config.resources, "model": model.id})
    manifest = where.manifest(launch, Mark(study=study.name, trial=number))
    return Planned(
        parameters=parameters,
        command=launch.command,
        image=launch.image,
        manifest=dict(manifest) if manifest is not None else None,
    )


def _load_seconds(study: Study, trials: int, retests: int) -> float | None:
    full = sum(_duration(point) for point in study.load.points) * study.budget.repeats
    short = [shortened(point, study.budget.screening) for point in study.load.points]
    screened = study.space is not None and all(short)
    screen = sum(_duration(point) for point in short if point is not None) if screened else 0.0
    total = (full + screen) * trials + full * retests
    return total if math.isfinite(total) and not study.load.adaptive else None


def _duration(load: LoadPoint) -> float:
    """Seconds a level lasts at most; infinite when only its number of requests is known."""
    limits = [math.inf]
    if load.seconds is not None:
        limits.append(load.seconds)
    if load.requests is not None and load.open_loop and load.kind != "replay":
        limits.append((load.requests + load.warmup) / ((load.level + (load.start or load.level)) / 2))
    return min(limits)
