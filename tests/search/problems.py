"""Problems with a known truth, small enough for tests."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from servelab.search.base import Problem, sampler
from servelab.search.pick import recommend
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters
from servelab.spec.goal import Constraint, Objective
from servelab.spec.space import Space

SEARCHING = ("auto", "random", "tpe", "nsga2")

THROUGHPUT = Objective.model_validate("maximize output_throughput")
LATENCY = Objective.model_validate("minimize itl_mean")
ITL_SLO = Constraint.model_validate("itl_mean <= 50ms")

SERVING = Space.model_validate(
    {
        "parameters": {
            "tp": [1, 2, 4, 8],
            "batch": {"low": 1, "high": 512, "log": True},
            "memory": {"low": 0.5, "high": 0.98},
            "cache": ["auto", "fp8"],
            "speculative": [True, False],
            "depth": {"low": 1, "high": 6, "when": {"speculative": True}},
        },
        "forbid": [{"tp": 8, "cache": "auto"}],
    }
)
DEFAULT: Parameters = {"tp": 1, "batch": 256, "memory": 0.9, "cache": "auto", "speculative": False}


def problem(**changes) -> Problem:
    """A constrained problem over SERVING."""
    return replace(
        Problem(
            space=SERVING,
            treatments=(),
            objectives=(THROUGHPUT,),
            constraints=(ITL_SLO,),
            baseline=DEFAULT,
            seed=0,
            trials=40,
        ),
        **changes,
    )


def truth(x: Parameters) -> dict[str, float] | str:
    """Noise-free metrics of a configuration, or the cause of its crash. The default breaks the SLO."""
    tp, batch, memory = float(x["tp"]), float(x["batch"]), float(x["memory"])
    if memory > 0.95 and x["cache"] == "fp8":
        return "crash: fp8 needs room"
    if 40 / tp + 0.05 * batch > 80 * memory:
        return "out_of_memory: weights"
    streams = min(batch, 400 * memory * (2 if x["cache"] == "fp8" else 1))
    step = 0.008 / math.sqrt(tp) + 0.00025 * streams
    tokens = 1.0 + (0.35 * math.log2(1 + float(x["depth"])) if x["speculative"] else 0.0)
    step *= 1.0 + (0.06 * float(x["depth"]) if x["speculative"] else 0.0)
    itl = step / tokens
    return {"output_throughput": 8 / tp**0.7 * streams / itl, "itl_mean": itl}


def measure(number: int, parameters: Parameters, seed: int = 0, noise: float = 0.03) -> Observation:
    """A noisy trial of the truth."""
    found = truth(parameters)
    if isinstance(found, str):
        return Observation(number=number, parameters=parameters, metrics={}, cause=found)
    rng = random.Random(1000 * seed + number)
    noisy = {metric: value * math.exp(rng.gauss(0, noise)) for metric, value in found.items()}
    return Observation(number=number, parameters=parameters, metrics=noisy)


def search(
    name: str, task: Problem, trials: int, outcome: Callable[[int, Parameters], Observation] = measure
) -> list[Observation]:
    """Run a sampler, the baseline first."""
    searcher = sampler(name, task)
    found: list[Observation] = []
    for number in range(trials):
        parameters = searcher.ask(number, [])
        assert parameters is not None
        found.append(outcome(number, parameters))
        searcher.tell(found[-1])
    return found


def best_true(task: Problem, observations: list[Observation]) -> float:
    """True throughput of what is recommended; 0 for nothing, or an SLO truly missed by over 5 %."""
    picked = recommend(task, observations, 1)
    if not picked:
        return 0.0
    found = truth(next(o.parameters for o in observations if o.number == picked[0]))
    assert not isinstance(found, str)
    return found["output_throughput"] if ITL_SLO.violation(found["itl_mean"]) <= 0.05 else 0.0


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Spaces of any shape: whole and real numbers, scales, steps, choices, conditions, forbidden combinations."""
    parameters: dict[str, dict[str, object]] = {}
    for index in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["int", "float", "categorical"]))
        if kind == "categorical":
            options = [True, False, "a", "b", 1, 2, 4.5]
            made: dict[str, object] = {
                "choices": draw(st.lists(st.sampled_from(options), min_size=1, max_size=4, unique_by=repr))
            }
        elif kind == "int":
            low = draw(st.integers(1, 50))
            made = {"type": "int", "low": low, "high": low + draw(st.integers(0, 300)), "step": draw(st.integers(1, 9))}
            made["log"] = draw(st.booleans())
        else:
            lowest = draw(st.floats(0.01, 10))
            made = {
                "type": "float",
                "low": lowest,
                "high": lowest + draw(st.floats(0.5, 50)),
                "log": draw(st.booleans()),
            }
        choosing = [name for name, other in parameters.items() if "choices" in other]
        if choosing and draw(st.booleans()):
            switch = draw(st.sampled_from(choosing))
            made["when"] = {switch: draw(st.sampled_from(list(parameters[switch]["choices"])))}  # type: ignore[call-overload]
        parameters[f"p{index}"] = made
    choosing = [name for name, other in parameters.items() if len(list(other.get("choices", []))) > 1]
    forbid = []
    if len(choosing) > 1 and draw(st.booleans()):
        pair = draw(st.permutations(choosing))[:2]
        forbid.append({name: draw(st.sampled_from(list(parameters[name]["choices"]))) for name in pair})  # type: ignore[call-overload]
    return Space.model_validate({"parameters": parameters, "forbid": forbid})
