"""A study as values of the data-collection pipeline: treatments, workload and load."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from servelab.engines.flags import flags
from servelab.spec.base import Parameters
from servelab.spec.errors import DocumentError
from servelab.spec.study import Study
from servelab.spec.workload import Load, Tokens, Workload

ENGINE = "vllm"
HARNESSES = ("guidellm", "nop")
LIMITS = ("max_model_len", "max_num_batched_tokens", "max_num_seqs")
CONTAINER = 'decode.containers[name="vllm"]'
IMAGE = "vllm/vllm-openai"


def study_values(study: Study, base: Mapping[str, Any]) -> dict[str, Any]:
    """``base``, values of the pipeline, with what the study says.

    Raises:
        DocumentError: the study has something that the pipeline cannot do.
    """
    faults = list(_faults(study))
    if faults:
        raise DocumentError(tuple(faults), "servelab run can do it on one machine.")
    stack = dict(base["stack"])
    for name in LIMITS:
        stack.pop(name.upper(), None)
    fixed = study.engine.arguments
    treatments = [
        treatment(number, {**fixed, **parameters}, parameters)
        for number, parameters in enumerate(study.design or ({},))
    ]
    stack |= {
        "treatments": {"explicit": treatments},
        "overrides": [*stack.get("overrides", ()), *_engine_rules(study)],
        "workload": {"app": study.workload.name, "profile": profile(study.workload, study.load)},
        "parallel": study.budget.parallel >= len(treatments),
    }
    harness = study.harness.name if study.harness.name in HARNESSES else "guidellm"
    return {
        **base,
        "experiment": {"name": study.name, "description": study.description or f"servelab study {study.name}"},
        "stack": stack,
        "workload": {**base.get("workload", {}), "harness": harness, "timeout": f"{_seconds(study):.0f}s"},
    }


def treatment(number: int, arguments: Parameters, settings: Parameters) -> dict[str, Any]:
    """One deployment; its id is short, since it is part of names that may have 53 characters."""
    left = dict(arguments)
    found: dict[str, Any] = {"id": f"t{number}", "tensorParallelism": left.pop("tensor_parallel_size", 1)}
    found |= {name.upper(): left.pop(name) for name in LIMITS if name in left}
    found["overrides"] = [f"{CONTAINER}.args={argument}" for argument in _arguments(left)]
    return {**found, "settings": dict(settings)}


def profile(workload: Workload, load: Load) -> dict[str, Any]:
    """The workload and its load, by the names that the run-workload Tasks have."""
    prefix = workload.prefix
    data = {"prefix_tokens": prefix.tokens if prefix else 0}
    data |= {"prefix_groups": prefix.groups if prefix else 1}
    data |= _lengths("prompt_tokens", workload.prompt) | _lengths("output_tokens", workload.output)
    kind, rate = _rate(load)
    limits = {"max_requests": load.requests or "", "max_seconds": load.seconds or "", "warmup": load.warmup}
    return {"rate_type": kind, "rate": rate, "random_seed": workload.seed, **limits, "data": data}


def _faults(study: Study) -> Iterator[str]:
    workload, load = study.workload, study.load
    if study.space is not None:
        yield "space: a pipeline runs explicit configurations; write factors or treatments"
    if study.engine.name != ENGINE:
        yield f"engine: the pipeline deploys vLLM, not {study.engine.name}"
    if study.engine.environment_from:
        names = ", ".join(study.engine.environment_from)
        yield f"engine.environment_from: {names} would have to come from a secret; name it in the values of the chart"
    if study.harness.name not in (*HARNESSES, "builtin"):
        yield f"harness: the pipeline loads with {' or '.join(HARNESSES)}, not {study.harness.name}"
    if workload.turns > 1 or workload.dataset or workload.trace or workload.extra:
        yield "workload: the pipeline sends synthetic prompts of one turn, without further fields"
    for name in ("prompt", "output"):
        if getattr(workload, name).distribution not in ("normal", "fixed"):
            yield f"workload.{name}: lengths vary normally or not at all in the pipeline"
    if load.ramp or load.replay or load.saturation or (load.rate and load.arrival == "gamma"):
        yield "load: the pipeline knows concurrency, constant and Poisson rates, synchronous, throughput and sweep"


def _arguments(arguments: Parameters) -> Iterator[str]:
    for name, value in arguments.items():
        words = flags(ENGINE, {name: value})
        if words:
            yield "=".join(words)


def _engine_rules(study: Study) -> Iterator[str]:
    engine = study.engine
    image = engine.image or (f"{IMAGE}:v{engine.version.removeprefix('v')}" if engine.version else None)
    if image:
        yield f"{CONTAINER}.image={image}"
        yield f"decode.initContainers[0].image={image}"
    for name, value in engine.environment.items():
        yield f'{CONTAINER}.env[name="{name}"].value={json.dumps(value)}'
    resources = {
        "cpu": engine.resources.cpus,
        "memory": engine.resources.memory_gb and f"{engine.resources.memory_gb:g}G",
    }
    for name, amount in resources.items():
        if amount:
            yield f"{CONTAINER}.resources.limits.{name}={json.dumps(str(amount))}"
            yield f"{CONTAINER}.resources.requests.{name}={json.dumps(str(amount))}"


def _lengths(name: str, tokens: Tokens) -> dict[str, Any]:
    spread = {"stdev": round(tokens.stdev), "min": tokens.min, "max": tokens.upper}
    return {name: round(tokens.mean), **{f"{name}_{key}": value for key, value in spread.items()}}


def _rate(load: Load) -> tuple[str, str]:
    if load.sweep:
        return "sweep", str(load.sweep)
    if load.synchronous:
        return "synchronous", ""
    if load.throughput:
        return "throughput", str(load.max_concurrency)
    if load.concurrency:
        return "concurrent", ",".join(f"{level:g}" for level in load.concurrency)
    return load.arrival, ",".join(f"{level:g}" for level in load.rate)


def _seconds(study: Study) -> float:
    """The longest that the workload of one treatment may take."""
    levels = study.load.sweep or max(1, len(study.load.points))
    return study.budget.timeouts.measure * levels
