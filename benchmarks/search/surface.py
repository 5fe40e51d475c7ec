"""A response surface with known truth, given by path, as a problem of ours."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from servelab.search.base import Problem
from servelab.spec.assess import Observation, Prediction
from servelab.spec.base import Parameters
from servelab.spec.goal import Constraint, Objective
from servelab.spec.space import Space

OBJECTIVE = Objective(metric="output_throughput", direction="maximize")


def load(directory: Path) -> ModuleType:
    """The module that defines the surface."""
    spec = importlib.util.spec_from_file_location("surface", directory / "surface.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Surface:
    """One surface: its space, SLO, default, truth, measurements and priors. Latencies in seconds."""

    def __init__(self, module: ModuleType, name: str) -> None:
        self.module = module
        self.name = name
        self.raw = module.Prob(name)
        self.space = Space.model_validate({"parameters": {row[0]: _parameter(row) for row in self.raw.sp}})
        slo = self.raw.s
        self.constraints = (
            Constraint(metric="ttft_mean", max=slo["ttft"] / 1000),
            Constraint(metric="itl_mean", max=slo["itl"] / 1000),
        )
        self.default: Parameters = {k: v for k, v in module.default(slo).items() if k in self.space.parameters}
        self.optimum = float(self.raw.optimum()[0])

    def problem(self, seed: int, trials: int, prior: str | None, observations: Sequence[Observation] = ()) -> Problem:
        """The search problem, with one of the surface's priors or none; they learn nothing from observations."""
        del observations
        told = self._prior(prior, seed) if prior else None
        return Problem(
            space=self.space,
            treatments=(),
            objectives=(OBJECTIVE,),
            constraints=self.constraints,
            baseline=self.default,
            seed=seed,
            trials=trials,
            prior=told,
        )

    def measure(self, number: int, parameters: Parameters, rng: np.random.Generator) -> Observation:
        """One noisy trial."""
        found = self.raw.measure(dict(parameters), rng)
        if not found["ok"]:
            cause = found["reason"]
            passing = cause == "infra"
            return Observation(number=number, parameters=parameters, metrics={}, cause=cause, transient=passing)
        return Observation(number=number, parameters=parameters, metrics=_metrics(found))

    def regret(self, parameters: Parameters | None) -> float:
        """1 - true throughput / best; 1 for no pick, a crash, or an SLO truly missed by over 5 %."""
        if parameters is None:
            return 1.0
        found = self.raw.truth(dict(parameters))
        if not found["ok"] or max(self.raw.viol(found)) > 0.05:
            return 1.0
        return max(0.0, 1 - float(found["tput"]) / self.optimum)

    def _prior(self, quality: str, seed: int) -> Callable[[Parameters], Prediction]:
        ask = self.module.make_prior(self.raw, quality, np.random.default_rng(1000 + seed))

        def prior(parameters: Parameters) -> Prediction:
            found = ask(dict(parameters))
            return Prediction(runs=bool(found["ok"]), metrics=_metrics(found) if found["ok"] else {})

        return prior


def _metrics(found: dict[str, Any]) -> dict[str, float]:
    return {
        "output_throughput": float(found["tput"]),
        "ttft_mean": float(found["ttft"]) / 1000,
        "itl_mean": float(found["itl"]) / 1000,
    }


def _parameter(row: tuple[Any, ...]) -> dict[str, Any]:
    if row[1] == "cat":
        return {"choices": list(row[2])}
    return {"type": row[1], "low": row[2], "high": row[3], "log": bool(row[4])}
