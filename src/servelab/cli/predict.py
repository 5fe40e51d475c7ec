"""Predictions from fitted coefficients: at a load, and of a whole study."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts

from servelab.cli.output import Json, notes, print_json, read_text
from servelab.spec.errors import DocumentError

if TYPE_CHECKING:
    from servelab.perf.deployment import Batching
    from servelab.perf.parameters import Parameters
    from servelab.spec.load import Load
    from servelab.spec.workload import Workload

From = Annotated[Path, cyclopts.Parameter(name="--from", help="Coefficients: the JSON that servelab estimate writes.")]
Slo = Annotated[
    list[str] | None,
    cyclopts.Parameter(name="--slo", negative="", help="A bound to keep, as ttft_p95=500ms; as often as you like."),
]


@cyclopts.Parameter(name="*")
@dataclass
class EngineLimits:
    """The engine's limits."""

    max_num_seqs: int | None = None
    """Most requests in a batch; default: the study's, or 256."""
    max_num_batched_tokens: int | None = None
    """Most tokens in a step; default: the study's, or 8192."""
    kv_tokens: int | None = None
    """Tokens that the KV cache holds; default: more than are ever needed."""


@cyclopts.Parameter(name="*")
@dataclass
class Requests:
    """What is asked for; default: what the coefficients were fitted to."""

    workload: str | None = None
    """A preset; see servelab workloads."""
    prompt_tokens: float | None = None
    """Tokens of each prompt."""
    output_tokens: float | None = None
    """Tokens of each answer."""


@cyclopts.Parameter(name="*")
@dataclass
class Effort:
    """How much is simulated."""

    requests: int = 4000
    """Requests at each rate."""
    draws: int = 30
    """Draws of the coefficients, for the intervals; 0 for none."""
    seed: int = 0
    """Of lengths, arrivals and draws."""


def predict(
    *,
    from_: From,
    rate: float,
    model: str | None = None,
    slo: Slo = None,
    accelerator_hour_cost: float | None = None,
    accelerators: int = 1,
    requests: Requests | None = None,
    limits: EngineLimits | None = None,
    effort: Effort | None = None,
    json: Json = False,
) -> None:
    """Predict latency at a load; with --slo also the highest rate that keeps it, replicas, and cost. Measures nothing.

    Parameters
    ----------
    rate
        Requests per second, arriving at random (Poisson).
    model
        Which of the file's models to predict with, as step-time; default: the one that fits ITL best.
    accelerator_hour_cost
        What an accelerator costs an hour, in any currency.
    accelerators
        Accelerators of a replica.
    """
    from servelab.cli.predicted import print_prediction
    from servelab.perf.asked import asked_by, read_slo
    from servelab.perf.deployment import Deployment, Models
    from servelab.perf.parameters import read_parameters
    from servelab.perf.predict import predict as predicted

    effort, requests = effort or Effort(), requests or Requests()
    _require_positive(rate=rate, requests=effort.requests, accelerators=accelerators)
    lengths = {"prompt_tokens": requests.prompt_tokens, "output_tokens": requests.output_tokens}
    price = {"accelerators": accelerators, "accelerator_hour_cost": accelerator_hour_cost}
    asked = asked_by({"rate": rate, **lengths, **price, **vars(effort)})
    parameters = read_parameters(from_)
    if model is not None:
        parameters = parameters.predicting_by(model)
    workload = _workload(requests, parameters)
    deployment = Deployment(Models.of(parameters), workload, _batching(limits or EngineLimits()))
    constraints = [read_slo(one) for one in slo or ()]
    with notes.status("simulating") as status:
        found = predicted(
            parameters,
            deployment,
            rate,
            constraints,
            asked.price,
            asked.effort,
            status.update,
        )
    if json:
        print_json(found)
        return
    print_prediction(found, constraints)


def simulate(
    document: Path,
    /,
    *,
    from_: From,
    rate: float | None = None,
    concurrency: int | None = None,
    limits: EngineLimits | None = None,
    requests: int = 2000,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Simulate the load levels of a study with fitted coefficients: what a harness would measure. Measures nothing.

    Parameters
    ----------
    document
        A study, whose workload, load, engine arguments and SLO are taken; or a workload alone, YAML or JSON.
    rate
        Requests per second, instead of the study's load.
    concurrency
        Requests in flight, instead of the study's load.
    requests
        How many, with --rate or --concurrency.
    """
    from servelab.cli.predicted import print_level, print_levels_head
    from servelab.perf.deployment import Deployment, Models
    from servelab.perf.levels import simulate_load
    from servelab.perf.parameters import read_parameters
    from servelab.perf.scenario import read_scenario

    _require_positive(requests=requests)
    if seed < 0:
        raise DocumentError((f"seed must be at least 0, not {seed}",))
    parameters = read_parameters(from_)
    scenario = read_scenario(read_text(document), str(document))
    load = _load(rate, concurrency, requests) or scenario.load
    if load is None:
        raise DocumentError((f"{document} is a workload without a load",), "Give --rate or --concurrency.")
    batching = _batching(limits or EngineLimits(), scenario.batching)
    deployment = Deployment(Models.of(parameters), scenario.workload, batching)
    found = []
    if not json:
        print_levels_head(deployment, parameters)
    for level in simulate_load(deployment, load, scenario.request_slo, scenario.constraints, seed):
        found.append(level)
        if not json:
            print_level(level)
    if json:
        print_json({"model": parameters.decode, "simulated": True, "seed": seed, "levels": found})


def _require_positive(**values: float) -> None:
    wrong = [f"{name} must be above 0, not {value:g}" for name, value in values.items() if not value > 0]  # nan too
    if wrong:
        raise DocumentError(tuple(wrong))


def _workload(requests: Requests, parameters: Parameters) -> Workload:
    from servelab.catalog.workloads import get_preset
    from servelab.perf.asked import requests_of

    known = get_preset(requests.workload).workload(requests.workload) if requests.workload else None
    return requests_of(parameters, requests.prompt_tokens, requests.output_tokens, known)


def _batching(limits: EngineLimits, known: Batching | None = None) -> Batching:
    from dataclasses import replace

    from servelab.perf.deployment import Batching

    given = {name: value for name, value in vars(limits).items() if value is not None}
    _require_positive(**given)
    return replace(known or Batching(), **given)


def _load(rate: float | None, concurrency: int | None, requests: int) -> Load | None:
    from servelab.spec.load import Load

    if rate is None and concurrency is None:
        return None
    if rate is not None and concurrency is not None:
        raise DocumentError(("give only one of --rate and --concurrency",))
    way: dict[str, float] = {"rate": rate} if rate is not None else {"concurrency": concurrency or 0}
    _require_positive(**way)
    if rate == math.inf:
        raise DocumentError(("rate must be finite, not inf",))
    return Load.model_validate({**way, "requests": requests})
