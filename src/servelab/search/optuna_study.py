"""Optuna's samplers behind our protocol."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from servelab.search.base import Problem
from servelab.search.draw import draw_new, key, rng_for
from servelab.search.memory import Memory, measured, searched_space, values, violations
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters
from servelab.spec.space import CategoricalParameter, FloatParameter, IntParameter, Space

TRIES = 20  # suggestions before an untried configuration is drawn at random


class OptunaSearch:
    """Asks an optuna study that holds what we were told, with a seed of each trial's own."""

    name: ClassVar[str] = "optuna"

    def __init__(self, problem: Problem) -> None:
        optuna.logging.set_verbosity(logging.ERROR)
        self._memory = Memory(problem)
        self._space = searched_space(problem, self.name)

    def sampler(self, seed: int) -> BaseSampler:
        """Optuna's sampler, seeded for one suggestion."""
        raise TypeError("a subclass says which sampler it is")

    def marks(self, number: int) -> dict[str, Any]:
        """What the sampler wants to know of a trial beyond its result."""
        del number
        return {}

    def tell(self, observation: Observation) -> None:
        """Remember an outcome."""
        self._memory.tell(observation)

    def ask(self, number: int, pending: Sequence[Parameters]) -> Parameters | None:
        """What optuna suggests, unless it was tried; None when nothing is left."""
        if number == 0:
            return self._memory.problem.baseline
        study = self._study()
        taken = self._memory.taken(pending)
        seed = self._memory.problem.seed
        for attempt in range(TRIES):
            study.sampler = self.sampler(zlib.crc32(f"{seed}/{number}/{attempt}".encode()))
            asked = study.ask()
            found = suggest(asked, self._space)
            study.tell(asked, state=TrialState.FAIL)
            if self._space.allowed(found) and key(found) not in taken:
                return found
        return draw_new(self._space, rng_for(seed, number), taken)

    def _study(self) -> optuna.Study:
        """A study of what was told; made anew each time, since samplers leave notes in theirs."""
        study = optuna.create_study(directions=["maximize"] * max(1, len(self._memory.problem.objectives)))
        known = [o for o in self._memory.observations if o.cause is not None or measured(self._memory.problem, o)]
        study.add_trials([self._frozen(o) for o in known if not o.transient])
        return study

    def _frozen(self, observation: Observation) -> FrozenTrial:
        """The observation as optuna's trial. A crash breaks a constraint of its own, and so needs no value."""
        problem = self._memory.problem
        told = {
            name: (distribution, _told(distribution, observation.parameters[name]))
            for name, distribution in distributions(self._space).items()
            if name in observation.parameters and self._space.parameters[name].contains(observation.parameters[name])
        }
        found = values(problem, observation) if observation.cause is None else None
        missed = violations(problem, observation) if found is not None else []
        named = {str(constraint): miss for constraint, miss in zip(problem.constraints, missed, strict=False)}
        return create_trial(
            params={name: value for name, (_, value) in told.items()},
            distributions={name: distribution for name, (distribution, _) in told.items()},
            values=found if found is not None else [0.0] * max(1, len(problem.objectives)),
            constraints={"runs": -1.0 if found is not None else 1.0, **named},
            system_attrs=self.marks(observation.number),
        )


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space as optuna's distributions; categorical choices as JSON text, since optuna confuses True and 1."""
    return {name: _distribution(parameter) for name, parameter in space.parameters.items()}


def _distribution(parameter: IntParameter | FloatParameter | CategoricalParameter) -> BaseDistribution:
    if isinstance(parameter, CategoricalParameter):
        return CategoricalDistribution([json.dumps(choice) for choice in parameter.choices])
    if isinstance(parameter, FloatParameter):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    return IntDistribution(
        parameter.low, _top(parameter), log=parameter.log, step=1 if parameter.log else parameter.step
    )


def _top(parameter: IntParameter) -> int:
    """The largest value; optuna wants it to be a whole number of steps away."""
    return parameter.low + (parameter.high - parameter.low) // parameter.step * parameter.step


def _told(distribution: BaseDistribution, value: Any) -> Any:
    return json.dumps(value) if isinstance(distribution, CategoricalDistribution) else value


def suggest(trial: optuna.Trial, space: Space) -> Parameters:
    """One configuration of the space, parameter by parameter, so that conditions can hold."""
    found: Parameters = {}
    for name, parameter in space.parameters.items():
        if not space.active(name, found):
            continue
        if isinstance(parameter, CategoricalParameter):
            found[name] = json.loads(trial.suggest_categorical(name, [json.dumps(c) for c in parameter.choices]))
        elif isinstance(parameter, FloatParameter):
            value = trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
            found[name] = min(parameter.high, max(parameter.low, float(f"{value:.6g}")))
        else:
            step = 1 if parameter.log else parameter.step
            value = trial.suggest_int(name, parameter.low, _top(parameter), log=parameter.log, step=step)
            found[name] = parameter.low + (value - parameter.low) // parameter.step * parameter.step
    return found
