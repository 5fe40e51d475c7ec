"""One sampler on one surface, trial by trial, as ../shared/data/surfaces/README.md has it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.search.simulated import GROUNDS, SimulatedSurface
from benchmarks.search.surface import Surface, load
from benchmarks.search.variants import add_variants
from servelab.search.base import Problem, Sampler, sampler
from servelab.search.draw import draw_new, from_unit, rng_for
from servelab.search.pick import recommend
from servelab.spec.assess import Observation
from servelab.spec.space import CategoricalParameter, Space

CHECKPOINTS = (10, 20, 40)
TIMED_AFTER = 50  # trials; those beyond the run are drawn at random
OWN = "own"  # prior: lab.prior's
LEVELS = 3  # of each number, for the grid


@dataclass(frozen=True)
class Entry:
    """A sampler in the comparison, with one of the surface's priors or none."""

    sampler: str
    prior: str | None = None

    def __str__(self) -> str:
        return f"{self.sampler}, {self.prior} prior" if self.prior else self.sampler


@dataclass(frozen=True)
class Task:
    """One run to make."""

    directory: Path
    surface: str
    entry: Entry
    seed: int
    trials: int


@dataclass(frozen=True)
class Outcome:
    """What a run reached: regret of the pick after so many trials, and what it cost."""

    task: Task
    regrets: dict[int, float]
    picked: bool
    """Whether there was a pick in the end."""
    crashes: int
    repeats: int
    """Crashes of a cause that had been met before."""
    suggestion_ms: float
    """CPU time of one suggestion after TIMED_AFTER trials."""


@cache
def surface(directory: Path, name: str) -> Surface | SimulatedSurface:
    """The surface, loaded once per process."""
    if name in GROUNDS:
        return SimulatedSurface(name)
    module = load(directory)
    add_variants(module)
    return Surface(module, name)


def run(task: Task) -> Outcome:
    """Make a run: the default first, then what the sampler asks for; the pick is the product's own."""
    ground = surface(task.directory, task.surface)
    problem = ground.problem(task.seed, task.trials, task.entry.prior)
    if task.entry.sampler == "grid":
        problem = replace(problem, space=levels(problem))
    searcher = sampler(task.entry.sampler, problem)
    rng = np.random.default_rng(task.seed)
    observations: list[Observation] = []
    regrets = {}
    for number in range(task.trials):
        if task.entry.prior == OWN:
            problem, searcher = _corrected(ground, task, observations)
        parameters = searcher.ask(number, [])
        assert parameters is not None
        observations.append(ground.measure(number, parameters, rng))
        searcher.tell(observations[-1])
        if number + 1 in CHECKPOINTS:
            picked = recommend(problem, observations, 1)
            regrets[number + 1] = ground.regret(observations[picked[0]].parameters if picked else None)
    causes = [o.cause for o in observations if o.cause is not None and not o.transient]
    return Outcome(
        task=task,
        regrets=regrets,
        picked=bool(recommend(problem, observations, 1)),
        crashes=len(causes),
        repeats=len(causes) - len(set(causes)),
        suggestion_ms=_time(searcher, ground, problem, observations),
    )


def _corrected(
    ground: Surface | SimulatedSurface, task: Task, observations: Sequence[Observation]
) -> tuple[Problem, Sampler]:
    """The problem with our own prior, corrected by what was measured, as ``lab.suggest`` has it."""
    problem = ground.problem(task.seed, task.trials, task.entry.prior, observations)
    searcher = sampler(task.entry.sampler, problem)
    for one in observations:
        searcher.tell(one)
    return problem, searcher


def _time(
    searcher: Sampler, ground: Surface | SimulatedSurface, problem: Problem, observations: Sequence[Observation]
) -> float:
    assert problem.space is not None
    rng = np.random.default_rng(problem.seed)
    for number in range(len(observations), TIMED_AFTER):
        drawn = draw_new(problem.space, rng_for(problem.seed, number), [])
        assert drawn is not None
        searcher.tell(ground.measure(number, drawn, rng))
    begun = time.process_time()
    searcher.ask(max(TIMED_AFTER, len(observations)), [])
    return 1000 * (time.process_time() - begun)


def levels(problem: Problem) -> Space:
    """The space with LEVELS values of each number, evenly spread over its scale."""
    assert problem.space is not None
    places = [index / (LEVELS - 1) for index in range(LEVELS)]
    return Space(
        parameters={
            name: parameter
            if isinstance(parameter, CategoricalParameter)
            else CategoricalParameter(choices=tuple(dict.fromkeys(from_unit(parameter, place) for place in places)))
            for name, parameter in problem.space.parameters.items()
        }
    )
